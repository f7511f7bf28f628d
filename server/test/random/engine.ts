import { EventEmitter } from "node:events";
import type { Socket } from "socket.io";
import { type PacketFormat, SocketLink } from "../../src/link.ts";

/** A packet on its way to the client. `tag` is whatever its writer's observer made of it. */
export interface Packet {
  readonly type: string;
  readonly data: string;
  readonly tag: unknown;
}

const FORMAT: PacketFormat = { customEncode: undefined, recovery: false };
/**
 * The server's end of one engine connection, without a network: packets wait in `inFlight` until the client takes them.
 * Speaks as Engine.IO 4 does, or as 3, where the client pings and the server answers.
 */
export class FakeEngine extends EventEmitter {
  readonly protocol: number;
  readonly inFlight: Packet[] = [];
  readonly transport = Object.assign(new EventEmitter(), { name: "websocket", socket: { bufferedAmount: 0 } });
  readonly pingTimeoutTimer = null;
  isOpen = true;
  readonly #observe: (data: string) => unknown;

  /** `observe` sees every message as it is written. */
  constructor(protocol: number, observe: (data: string) => unknown) {
    super();
    this.protocol = protocol;
    this.#observe = observe;
  }

  write(data: string): void {
    if (this.isOpen) this.#send({ type: "message", data, tag: this.#observe(data) });
  }

  sendPacket(type: string): void {
    if (this.isOpen) this.#send({ type, data: "", tag: undefined });
  }

  /** The engine's own heartbeat, which in Engine.IO 3 is the client's. */
  ping(): void {
    if (this.protocol === 4) this.sendPacket("ping");
  }

  #send(packet: Packet): void {
    this.emit("packetCreate", { type: packet.type });
    this.inFlight.push(packet);
    this.transport.socket.bufferedAmount += packet.data.length;
    this.emit("flush", { length: 1 });
  }

  /** The client takes the oldest packet in flight. */
  take(): Packet | undefined {
    const packet = this.inFlight.shift();
    if (packet === undefined) return undefined;
    this.transport.socket.bufferedAmount -= packet.data.length;
    this.transport.emit("drain");
    return packet;
  }

  /** A heartbeat of the client's arrives. */
  arrives(type: string): void {
    if (!this.isOpen) return;
    this.emit("packet", { type });
    if (type === "ping") this.sendPacket("pong");
  }

  /** The connection breaks, and what was in flight is lost with it. */
  close(): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.inFlight.length = 0;
    this.emit("close");
  }

  /** What listens beside those that count heartbeats, which stay as long as the engine connection. */
  get leftovers(): readonly string[] {
    const staying = new Set(["packet", "packetCreate"]);
    const own = this.eventNames().map(String);
    return [...own.filter((name) => !staying.has(name)), ...this.transport.eventNames().map(String)];
  }
}

/** The link of one namespace's socket on an engine connection; `congestionBytes` in flight are too many. */
export function linkOn(engine: FakeEngine, namespace: string, congestionBytes: number): SocketLink {
  const socket = {
    conn: engine,
    nsp: { name: namespace },
    disconnect: () => engine.close(),
    get connected() {
      return engine.isOpen;
    },
  };
  return new SocketLink(socket as unknown as Socket, FORMAT, congestionBytes);
}
