import type { Server, Socket } from "socket.io";
import { decodeArguments } from "./encode.ts";
import { type Engine, EngineConnection, type PingListener } from "./engine.ts";
import { type Frame, webSocketText } from "./frame.ts";

// How frames become packets. With `engine.ts` and `inbound.ts` the only file that touches what lies below Socket.IO's documented surface. Frames go
// to the engine connection and not through `socket.emit`, because with connection state recovery on, `emit` would enter them into the adapter's log.

// Packet types of the Socket.IO protocol, revision 5.
const EVENT = 2;
const ACK = 3;
const BINARY_EVENT = 5;

/** What Engine.IO puts before a message. */
const MESSAGE = "4";

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

interface Internals {
  readonly encoder?: { encode(packet: object): (string | Uint8Array)[] };
  readonly _opts?: { readonly connectionStateRecovery?: unknown };
}

interface SocketInternals {
  /** Acknowledgements that are waited for, by the numbers that the namespace gives. */
  readonly acks?: Map<number, unknown>;
  readonly nsp: { readonly _ids?: number };
}

const NO_MARKS: readonly { readonly ping: number; readonly mark: number }[] = [];

/** How frames become Socket.IO packets on one server. */
export interface PacketFormat {
  /** `encode` of a parser that is not Socket.IO's own; undefined for the usual one. */
  readonly customEncode: ((packet: object) => (string | Uint8Array)[]) | undefined;
  /** Whether socket.io-client keeps the last argument of an event as its recovery offset when that is a string. */
  readonly recovery: boolean;
  /** Counts frames, where somebody wants to know. */
  readonly writes?: WriteCounts;
  /** Told of WebSockets that cannot be written to directly, because they are not made as is known of Engine.IO and ws. */
  readonly onStrange?: () => void;
}

/** Frames by the way they went. */
export interface WriteCounts {
  /** Straight to the WebSocket's own socket, several in one piece. */
  direct: number;
  /** Through the engine: over other transports, with compression, attachments, or where the engine had something waiting. */
  engine: number;
}

/** Looks once at how a server was set up; a parser of its own is known by what it makes of a packet. */
export function packetFormat(server: Server, watch: Pick<PacketFormat, "writes" | "onStrange"> = {}): PacketFormat {
  const { encoder, _opts } = server as unknown as Internals;
  const [probe] = encoder?.encode({ type: EVENT, nsp: "/", data: ["probe"] }) ?? [];
  const custom = encoder !== undefined && probe !== `${EVENT}["probe"]`;
  return {
    customEncode: custom ? (packet) => encoder.encode(packet) : undefined,
    recovery: Boolean(_opts?.connectionStateRecovery),
    ...watch,
  };
}

/** A link over a Socket.IO socket. */
export class SocketLink implements Link, PingListener {
  readonly #socket: Socket;
  readonly #engine: Engine;
  readonly #format: PacketFormat;
  readonly #maxWaitingBytes: number;
  readonly #prefix: string;
  readonly #connection: EngineConnection;
  #listener: LinkListener | undefined;
  /** What was handed to the engine since its buffer was empty, and its bytes. */
  #buffered = 0;
  #bufferedFrames = 0;
  /** Ends the wait for room. */
  #stopAwaiting: (() => void) | undefined;
  #isReleased = false;
  /** Ends the waits for acknowledgements, where there are any. */
  #asked: Set<() => void> | undefined;
  /** What the pings under way cover, oldest first. */
  #marks = NO_MARKS;

  constructor(socket: Socket, format: PacketFormat, maxWaitingBytes: number) {
    this.#socket = socket;
    this.#engine = socket.conn as unknown as Engine;
    this.#format = format;
    this.#maxWaitingBytes = maxWaitingBytes;
    this.#prefix = socket.nsp.name === "/" ? "" : `${socket.nsp.name},`;
    this.#connection = EngineConnection.of(this.#engine);
  }

  /** Starts to tell `listener`; heartbeats only where they are what confirms. */
  listen(listener: LinkListener, heartbeats: boolean): void {
    this.#listener = listener;
    // What was marked for the listener before says nothing about this one, whose offsets are another mailbox's.
    this.#marks = NO_MARKS;
    for (const gone of this.#asked ?? []) gone();
    if (heartbeats) this.#connection.listen(this);
  }

  /** Lets go of the request that the socket came with. */
  releaseRequest(): void {
    this.#connection.releaseRequest();
  }

  /** Leaves the socket as it was found. */
  release(): void {
    this.#connection.flush();
    this.#listener = undefined;
    this.#connection.unlisten(this);
    for (const gone of this.#asked ?? []) gone();
    this.#stopAwaiting?.();
    // A look that is under way must not begin to wait again.
    this.#isReleased = true;
  }

  send(frame: Frame): void {
    if (!this.#socket.connected) return;
    const { customEncode, recovery, writes } = this.#format;
    if (customEncode === undefined && frame.attachments === undefined && this.#connection.isDirect) {
      this.#connection.gather(prepared(frame, this.#prefix, recovery));
      if (writes !== undefined) writes.direct += 1;
      return;
    }
    if (writes !== undefined) writes.engine += 1;
    if (this.#connection.isStrange) this.#format.onStrange?.();
    if (this.#waiting === 0) this.#buffered = this.#bufferedFrames = 0;
    this.#buffered += frame.bytes;
    this.#bufferedFrames += 1 + (frame.attachments?.length ?? 0);
    if (customEncode !== undefined) {
      for (const part of customEncode({ type: EVENT, nsp: this.#socket.nsp.name, data: decodeArguments(frame) })) {
        this.#connection.write(part);
      }
      return;
    }
    this.#connection.write(headOf(frame, this.#prefix) + frame.text + tailOf(frame, recovery));
    for (const part of frame.attachments ?? []) this.#connection.write(part);
  }

  /** Answers the packet of this number that the client sent, as Socket.IO would. */
  answer(packet: string, answer: unknown): void {
    if (!this.#socket.connected) return;
    const head = `${ACK}${this.#prefix}${packet}[`;
    const text = JSON.stringify(answer);
    if (this.#connection.isDirect) {
      this.#connection.gather(webSocketText(MESSAGE + head, { text, bytes: Buffer.byteLength(text) }, "]"));
    } else this.#connection.write(`${head}${text}]`);
  }

  get congested(): boolean {
    const waiting = this.#waiting;
    if (waiting > MAX_WAITING_PACKETS) return true;
    if (waiting > 0 && this.#bufferedFrames >= MAX_POLLED_FRAMES && this.#engine.transport.name === "polling") return true;
    return this.#connection.isOver(this.#maxWaitingBytes, waiting > 0 ? this.#buffered : 0);
  }

  awaitRoom(): void {
    if (this.#stopAwaiting !== undefined || this.#isReleased) return;
    // What waits in the engine moves on at its next flush; what waits in the transport is gone when that has drained. An
    // upgrade changes the transport, and flushes.
    const { transport } = this.#engine;
    const look = (): void => {
      if (this.#stopAwaiting !== stop) return;
      unhook();
      setImmediate(() => {
        if (this.#stopAwaiting !== stop) return;
        this.#stopAwaiting = undefined;
        if (this.congested) this.awaitRoom();
        else this.#listener?.onRoom();
      });
    };
    const unhook = (): void => {
      transport.off("drain", look);
      this.#engine.off("flush", look);
      this.#engine.off("upgrade", look);
    };
    const stop = (): void => {
      unhook();
      this.#stopAwaiting = undefined;
    };
    this.#stopAwaiting = stop;
    transport.on("drain", look);
    this.#engine.on("flush", look);
    this.#engine.on("upgrade", look);
    // Of what was not given to the transport, it says nothing.
    this.#connection.whenWritten(look);
  }

  ping(): boolean {
    if (this.#engine.protocol < 4 || this.#engine.sendPacket === undefined) return false;
    this.#engine.sendPacket("ping");
    return true;
  }

  ask(event: string, args: readonly unknown[], answered: (answer?: readonly unknown[]) => void): () => void {
    const { acks, nsp } = this.#socket as unknown as SocketInternals;
    const id = nsp._ids;
    this.#asked ??= new Set();
    const asked = this.#asked;
    const gone = (): void => {
      // Socket.IO would remember a client that never calls back for as long as the socket lives.
      if (id !== undefined) acks?.delete(id);
      if (asked.delete(gone)) answered();
    };
    asked.add(gone);
    // With an acknowledgement, `emit` enters nothing into the adapter's log.
    this.#socket.emit(event, ...args, (...answer: readonly unknown[]) => {
      if (asked.delete(gone)) answered(answer);
    });
    return gone;
  }

  close(comeBack: boolean): void {
    if (comeBack) this.#engine.close();
    else this.#socket.disconnect();
  }

  /** Packets that were handed to the engine and have not gone on to the transport. */
  get #waiting(): number {
    return this.#engine.writeBuffer?.length ?? 0;
  }

  onPing(ping: number): void {
    if (this.#listener !== undefined) this.#marks = [...this.#marks, { ping, mark: this.#listener.mark() }];
  }

  onPong(ping: number): void {
    for (let first = this.#marks[0]; first !== undefined && first.ping <= ping; first = this.#marks[0]) {
      this.#marks = this.#marks.slice(1);
      this.#listener?.onHeartbeat(first.mark);
    }
  }
}

/** What comes before the arguments in a Socket.IO packet. */
const headOf = ({ attachments }: Frame, prefix: string): string =>
  attachments === undefined ? `${EVENT}${prefix}[` : `${BINARY_EVENT}${attachments.length}-${prefix}[`;

/** What comes after them. A string at the end would be taken for a recovery offset, and the application's own events could not be recovered. */
const tailOf = ({ text }: Frame, recovery: boolean): string => (recovery && text.endsWith('"') ? ",null]" : "]");

// A message to many makes one frame for all plain clients, so the newest is remembered.
let newest: Frame | undefined;
let newestPrefix = "";
let newestRecovery = false;
let newestPrepared = "";

/** The WebSocket frame of a frame without attachments. */
function prepared(frame: Frame, prefix: string, recovery: boolean): string {
  if (frame === newest && prefix === newestPrefix && recovery === newestRecovery) return newestPrepared;
  newest = frame;
  newestPrefix = prefix;
  newestRecovery = recovery;
  newestPrepared = webSocketText(MESSAGE + headOf(frame, prefix), frame, tailOf(frame, recovery));
  return newestPrepared;
}
