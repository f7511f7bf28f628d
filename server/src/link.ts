import type { Server, Socket } from "socket.io";
import { decodeArguments } from "./encode.ts";
import type { Frame } from "./frame.ts";

// The only file that touches what lies below Socket.IO's documented surface. Frames go to the engine connection and not
// through `socket.emit`, because with connection state recovery on, `emit` would enter them into the adapter's log.

// Packet types of the Socket.IO protocol, revision 5.
const EVENT = 2;
const BINARY_EVENT = 5;

/** python-engineio breaks off on a payload of more than 16 packets, and what Socket.IO itself has to say needs room too. */
const MAX_POLLED_FRAMES = 12;

/** Packets of whatever size that may wait in the engine. */
const MAX_WAITING_PACKETS = 4_096;

/** What the delivery core needs of one socket. */
export interface Link {
  /** Hands a frame to the transport; frames leave in the order of the calls. */
  send(frame: Frame): void;
  /** Whether more bytes wait for the network than the limit allows. */
  readonly congested: boolean;
  /** Calls `onRoom` once, when the link is no longer congested. */
  awaitRoom(): void;
  /** Asks the client's engine for a sign of life; false where the protocol has no way to. */
  ping(): boolean;
  /**
   * Sends an event that the client is to acknowledge. Calls `answered` at most once: with the arguments of the acknowledgement, or
   * with nothing when the client is gone. The answer of this call ends the wait.
   */
  ask(event: string, args: readonly unknown[], answered: (answer?: readonly unknown[]) => void): () => void;
  /** Ends the connection: to be come back to, or for good. */
  close(comeBack: boolean): void;
}

/** What a link tells its connection. */
export interface LinkListener {
  onRoom(): void;
  /** A mark to be given back by `onHeartbeat`, asked for at every ping, the engine's own included. */
  mark(): number;
  /** The client's engine has received everything that was written before `mark` was taken. */
  onHeartbeat(mark: number): void;
}

interface Transport {
  readonly name: string;
  readonly socket?: { readonly bufferedAmount?: number; readonly _socket?: { cork(): void; uncork(): void } };
  on(event: "drain", listener: () => void): unknown;
  off(event: "drain", listener: () => void): unknown;
}

interface Engine {
  /** What waits for the transport to be writable, Socket.IO's own packets included. */
  readonly writeBuffer?: readonly unknown[];
  readonly protocol: number;
  readonly transport: Transport;
  write(data: string | Uint8Array): unknown;
  sendPacket?(type: "ping"): void;
  /** Set while the engine waits for the answer to a ping of its own. */
  readonly pingTimeoutTimer?: unknown;
  on(event: string, listener: (packet: { type: string; length: number }) => void): unknown;
  off(event: string, listener: (packet: { type: string; length: number }) => void): unknown;
  close(): void;
}

interface Internals {
  readonly encoder?: { encode(packet: object): (string | Uint8Array)[] };
  readonly _opts?: { readonly connectionStateRecovery?: unknown };
}

interface SocketInternals {
  /** Acknowledgements that are waited for, by the numbers that the namespace gives. */
  readonly acks?: Map<number, unknown>;
  readonly nsp: { readonly _ids?: number };
}

/** How frames become Socket.IO packets on one server. */
export interface PacketFormat {
  /** `encode` of a parser that is not Socket.IO's own; undefined for the usual one. */
  readonly customEncode: ((packet: object) => (string | Uint8Array)[]) | undefined;
  /** Whether socket.io-client keeps the last argument of an event as its recovery offset when that is a string. */
  readonly recovery: boolean;
}

/** Looks once at how a server was set up; a parser of its own is known by what it makes of a packet. */
export function packetFormat(server: Server): PacketFormat {
  const { encoder, _opts } = server as unknown as Internals;
  const [probe] = encoder?.encode({ type: EVENT, nsp: "/", data: ["probe"] }) ?? [];
  const custom = encoder !== undefined && probe !== `${EVENT}["probe"]`;
  return {
    customEncode: custom ? (packet) => encoder.encode(packet) : undefined,
    recovery: Boolean(_opts?.connectionStateRecovery),
  };
}

/** A link over a Socket.IO socket. */
export class SocketLink implements Link {
  readonly #socket: Socket;
  readonly #engine: Engine;
  readonly #format: PacketFormat;
  readonly #maxWaitingBytes: number;
  readonly #prefix: string;
  readonly #heartbeats: Heartbeats;
  #listener: LinkListener | undefined;
  /** Bytes in the engine's buffer, not yet given to the transport. */
  #buffered = 0;
  #bufferedFrames = 0;
  #awaitingRoom = false;
  /** Ends the waits for acknowledgements. */
  readonly #asked = new Set<() => void>();
  /** What the pings under way cover, oldest first. */
  readonly #marks: { readonly ping: number; readonly mark: number }[] = [];

  constructor(socket: Socket, format: PacketFormat, maxWaitingBytes: number) {
    this.#socket = socket;
    this.#engine = socket.conn as unknown as Engine;
    this.#format = format;
    this.#maxWaitingBytes = maxWaitingBytes;
    this.#prefix = socket.nsp.name === "/" ? "" : `${socket.nsp.name},`;
    this.#engine.on("flush", this.#onFlush);
    this.#heartbeats = Heartbeats.of(this.#engine);
  }

  /** Starts to tell `listener`; heartbeats only where they are what confirms. */
  listen(listener: LinkListener, heartbeats: boolean): void {
    this.#listener = listener;
    // What was marked for the listener before says nothing about this one, whose offsets are another mailbox's.
    this.#marks.length = 0;
    for (const gone of this.#asked) gone();
    if (heartbeats) this.#heartbeats.links.add(this);
  }

  /** Leaves the socket as it was found. */
  release(): void {
    this.#listener = undefined;
    this.#engine.off("flush", this.#onFlush);
    this.#heartbeats.links.delete(this);
    for (const gone of this.#asked) gone();
    this.#stopAwaiting();
    // A look that is under way must not begin to wait again.
    this.#stopAwaiting = () => {};
  }

  send(frame: Frame): void {
    if (!this.#socket.connected) return;
    this.#buffered += frame.bytes;
    this.#bufferedFrames += 1 + (frame.attachments?.length ?? 0);
    const { customEncode, recovery } = this.#format;
    if (customEncode !== undefined) {
      for (const part of customEncode({ type: EVENT, nsp: this.#socket.nsp.name, data: decodeArguments(frame) })) {
        this.#engine.write(part);
      }
      return;
    }
    // A string at the end would be taken for a recovery offset, and the application's own events could not be recovered.
    const tail = recovery && frame.text.endsWith('"') ? ",null]" : "]";
    if (frame.attachments === undefined) {
      this.#engine.write(`${EVENT}${this.#prefix}[${frame.text}${tail}`);
      return;
    }
    this.#engine.write(`${BINARY_EVENT}${frame.attachments.length}-${this.#prefix}[${frame.text}${tail}`);
    for (const part of frame.attachments) this.#engine.write(part);
  }

  get congested(): boolean {
    if ((this.#engine.writeBuffer?.length ?? 0) > MAX_WAITING_PACKETS) return true;
    if (this.#bufferedFrames >= MAX_POLLED_FRAMES && this.#engine.transport.name === "polling") return true;
    return this.#buffered + (this.#engine.transport.socket?.bufferedAmount ?? 0) > this.#maxWaitingBytes;
  }

  awaitRoom(): void {
    if (this.#awaitingRoom) return;
    this.#awaitingRoom = true;
    // What waits in the engine moves on at its next flush; what waits in the transport is gone when that has drained. An
    // upgrade changes the transport, and flushes.
    const { transport } = this.#engine;
    const look = (): void => {
      stop();
      setImmediate(() => {
        if (this.#stopAwaiting !== stop) return;
        this.#awaitingRoom = false;
        if (this.congested) this.awaitRoom();
        else this.#listener?.onRoom();
      });
    };
    const stop = (): void => {
      transport.off("drain", look);
      this.#engine.off("flush", look);
      this.#engine.off("upgrade", look);
    };
    transport.on("drain", look);
    this.#engine.on("flush", look);
    this.#engine.on("upgrade", look);
    this.#stopAwaiting = stop;
  }

  ping(): boolean {
    if (this.#engine.protocol < 4 || this.#engine.sendPacket === undefined) return false;
    this.#engine.sendPacket("ping");
    return true;
  }

  ask(event: string, args: readonly unknown[], answered: (answer?: readonly unknown[]) => void): () => void {
    const { acks, nsp } = this.#socket as unknown as SocketInternals;
    const id = nsp._ids;
    const gone = (): void => {
      // Socket.IO would remember a client that never calls back for as long as the socket lives.
      if (id !== undefined) acks?.delete(id);
      if (this.#asked.delete(gone)) answered();
    };
    this.#asked.add(gone);
    // With an acknowledgement, `emit` enters nothing into the adapter's log.
    this.#socket.emit(event, ...args, (...answer: readonly unknown[]) => {
      if (this.#asked.delete(gone)) answered(answer);
    });
    return gone;
  }

  close(comeBack: boolean): void {
    if (comeBack) this.#engine.close();
    else this.#socket.disconnect();
  }

  #stopAwaiting = (): void => {};

  readonly #onFlush = (packets: { length: number }): void => {
    this.#buffered = 0;
    this.#bufferedFrames = 0;
    if (packets.length < 2) return;
    // The engine writes each packet by itself, and ws each in two chunks: together they leave in one write.
    const socket = this.#engine.transport.socket?._socket;
    if (socket === undefined) return;
    socket.cork();
    process.nextTick(() => socket.uncork());
  };

  /** Ping number `ping` is on its way. */
  onPing(ping: number): void {
    if (this.#listener !== undefined) this.#marks.push({ ping, mark: this.#listener.mark() });
  }

  /** Every ping up to number `ping` was answered. */
  onPong(ping: number): void {
    for (let first = this.#marks[0]; first !== undefined && first.ping <= ping; first = this.#marks[0]) {
      this.#marks.shift();
      this.#listener?.onHeartbeat(first.mark);
    }
  }
}

/**
 * Pings and their answers on one engine connection, which several namespaces may share. Packets of a connection arrive
 * in order, so the pong that answers a ping proves that everything written before the ping has reached the client. Pongs carry no label and
 * the engine pings too, so all are counted.
 *
 * In Engine.IO 3 it is the client that pings, some time after our pong: its ping answers for what was written before that pong.
 */
class Heartbeats {
  static readonly #all = new WeakMap<Engine, Heartbeats>();

  readonly links = new Set<SocketLink>();
  #pings: number;
  #pongs = 0;

  static of(engine: Engine): Heartbeats {
    const known = Heartbeats.#all.get(engine);
    if (known !== undefined) return known;
    const made = new Heartbeats(engine);
    Heartbeats.#all.set(engine, made);
    return made;
  }

  private constructor(engine: Engine) {
    const [question, answer] = engine.protocol === 3 ? ["pong", "ping"] : ["ping", "pong"];
    // The engine may have pinged before we looked; its timer tells. Our own pings cannot be that old.
    this.#pings = engine.protocol !== 3 && engine.pingTimeoutTimer ? 1 : 0;
    engine.on("packetCreate", ({ type }) => {
      if (type !== question) return;
      this.#pings += 1;
      for (const link of this.links) link.onPing(this.#pings);
    });
    engine.on("packet", ({ type }) => {
      // A client that answers what was not asked gains nothing by it.
      if (type !== answer || this.#pongs >= this.#pings) return;
      this.#pongs += 1;
      for (const link of this.links) link.onPong(this.#pongs);
    });
  }
}
