import { EventEmitter } from "node:events";

/** Something on its way to the client: an Engine.IO packet, or the end of the connection behind those that come before it. */
export interface Downward {
  readonly type: string;
  readonly data: string;
  /** Whatever its observer made of it when it was written. */
  readonly tag: unknown;
  readonly writtenAt: number;
}

/** Something on its way to the server: an event of the client's, or a packet of its engine. */
export type Upward =
  | { readonly type: "ping" | "pong" | "close" }
  | {
      readonly type: "event";
      readonly namespace: string;
      readonly event: string;
      readonly args: readonly unknown[];
      readonly answer: number | undefined;
    };

/** What is told of one connection, at either end. */
export interface WireEnds {
  /** The server has written `data`; what this makes of it travels along. */
  wrote(data: string): unknown;
  /** The client takes a packet. */
  took(packet: Downward): void;
  /** The client finds its connection gone. */
  clientClosed(): void;
  /** An event reaches the server. */
  arrived(event: Extract<Upward, { type: "event" }>): void;
}

/**
 * One engine connection with its two ends and what is in flight between them, in order in each direction: as TCP has it.
 * The server's end is an engine as Engine.IO 4 has it, or 3, where the client pings and the server answers.
 */
export class Wire extends EventEmitter {
  readonly protocol: number;
  readonly transport = Object.assign(new EventEmitter(), { name: "websocket", socket: { bufferedAmount: 0 } });
  /** Set while the engine waits for the answer to a ping of its own. */
  pingTimeoutTimer: object | null = null;
  isOpen = true;
  isClientOpen = true;
  readonly down: Downward[] = [];
  readonly up: Upward[] = [];
  readonly #ends: WireEnds;
  readonly #now: () => number;

  constructor(protocol: number, now: () => number, ends: WireEnds) {
    super();
    this.protocol = protocol;
    this.#now = now;
    this.#ends = ends;
    if (protocol === 3) this.up.push({ type: "ping" });
  }

  /** For the server: a Socket.IO packet. */
  write(data: string): void {
    if (this.isOpen) this.#send("message", data, this.#ends.wrote(data));
  }

  /** For the server: a packet of the engine itself. */
  sendPacket(type: string): void {
    if (this.isOpen) this.#send(type, "", undefined);
  }

  /** The engine's own heartbeat, which in Engine.IO 3 is the client's. */
  ping(): void {
    // There is never a second one before the first is answered.
    if (this.protocol !== 4 || this.pingTimeoutTimer !== null) return;
    this.sendPacket("ping");
    this.pingTimeoutTimer = {};
  }

  /** For the server: ends the connection; what was written before may still arrive. */
  close(): void {
    if (!this.isOpen) return;
    this.#push("close", "", undefined);
    this.endServer();
  }

  /** For the client: puts something on its way to the server. */
  send(upward: Upward): void {
    if (this.isClientOpen) this.up.push(upward);
  }

  /** The client takes up to `count` packets from the network. */
  take(count = Number.POSITIVE_INFINITY): void {
    for (let left = count; left > 0 && this.isClientOpen; left -= 1) {
      const packet = this.down.shift();
      if (packet === undefined) return;
      this.transport.socket.bufferedAmount -= packet.data.length;
      if (packet.type === "close") this.endClient();
      // In Engine.IO 4 the client answers; in 3 it asks again some time after our answer.
      else if (packet.type === "ping") this.send({ type: "pong" });
      else if (packet.type === "pong") this.send({ type: "ping" });
      else this.#ends.took(packet);
      if (this.isOpen) this.transport.emit("drain");
    }
  }

  /** Up to `count` packets reach the server. */
  arrive(count = Number.POSITIVE_INFINITY): void {
    for (let left = count; left > 0 && this.isOpen; left -= 1) {
      const packet = this.up.shift();
      if (packet === undefined) return;
      if (packet.type === "close") this.endServer();
      else if (packet.type === "event") this.#ends.arrived(packet);
      else {
        if (packet.type === "pong") this.pingTimeoutTimer = null;
        this.emit("packet", { type: packet.type });
        if (packet.type === "ping") this.sendPacket("pong");
      }
    }
  }

  /** The connection breaks: a part of what was under way arrives, the rest never does. */
  cut(taken: number, arrived: number): void {
    this.take(taken);
    this.arrive(arrived);
    this.endServer();
    this.endClient();
  }

  /** The server finds its end closed. */
  endServer(): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.emit("close");
  }

  /** The client finds its end closed. */
  endClient(): void {
    if (!this.isClientOpen) return;
    this.isClientOpen = false;
    this.down.length = 0;
    this.#ends.clientClosed();
  }

  /** The server's process is gone: nobody is told there. */
  abandon(): void {
    this.isOpen = false;
    this.removeAllListeners();
    this.transport.removeAllListeners();
  }

  /** Whether something is under way that will arrive: heartbeats never end. */
  get isBusy(): boolean {
    const isUnderWay = ({ type }: { readonly type: string }): boolean => type !== "ping" && type !== "pong";
    return this.isOpen && this.isClientOpen && (this.down.some(isUnderWay) || this.up.some(isUnderWay));
  }

  /** What listens beside those that count heartbeats, which stay as long as the engine connection. */
  get leftovers(): readonly string[] {
    const staying = new Set(["packet", "packetCreate"]);
    const own = this.eventNames().map(String);
    return [...own.filter((name) => !staying.has(name)), ...this.transport.eventNames().map(String)];
  }

  #send(type: string, data: string, tag: unknown): void {
    this.emit("packetCreate", { type });
    this.#push(type, data, tag);
    this.emit("flush", { length: 1 });
  }

  #push(type: string, data: string, tag: unknown): void {
    this.down.push({ type, data, tag, writtenAt: this.#now() });
    this.transport.socket.bufferedAmount += data.length;
  }
}
