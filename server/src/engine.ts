import { Socket as NetSocket } from "node:net";

// What Usercast uses of Engine.IO and ws, below Socket.IO's documented surface. What is found to be otherwise than it is
// described here is not relied on: frames go to `engine.write` then, as Socket.IO's own do.

/** `WebSocket.OPEN`. */
const OPEN = 1;

/** Bytes of a turn that are not gathered any longer: what the kernel does not take of them has to count as waiting. */
const MAX_GATHERED = 65_536;

/** A WebSocket of ws. */
interface WebSocket {
  readonly readyState?: number;
  /** The names of the extensions that were negotiated, as text. */
  readonly extensions?: string;
  readonly bufferedAmount?: number;
  readonly _socket?: unknown;
  /** Writes to `_socket`; has parts waiting elsewhere only while it compresses. */
  readonly _sender?: { readonly _socket?: unknown; readonly sendFrame?: unknown };
}

/** A transport of Engine.IO. */
export interface Transport {
  readonly name: string;
  readonly socket?: WebSocket;
  on(event: "drain", listener: () => void): unknown;
  off(event: "drain", listener: () => void): unknown;
}

const RESPONSE = Symbol("usercast");

/** A request, and what Engine.IO answers it by: of a WebSocket that is an object which holds the request as long as the socket lives. */
interface Request {
  [RESPONSE]?: { req?: unknown };
}

interface EngineServer {
  use(middleware: (request: Request, response: { req?: unknown }, next: () => void) => void): unknown;
}

/** Servers whose requests know their responses. */
const remembering = new WeakSet<EngineServer>();

/** The server's end of an Engine.IO connection. */
export interface Engine {
  /** What waits for the transport to be writable, Socket.IO's own packets included. */
  readonly writeBuffer?: readonly unknown[];
  readonly protocol: number;
  readonly transport: Transport;
  /** Engine.IO's server. */
  readonly server?: EngineServer;
  /** What the connection came with; nobody but applications and their middleware looks at it again. */
  request?: Request | null;
  readonly readyState?: string;
  /** Whether the client is about to change to another transport. */
  readonly upgrading?: boolean;
  write(data: string | Uint8Array): unknown;
  sendPacket?(type: "ping"): void;
  /** Set while the engine waits for the answer to a ping of its own. */
  readonly pingTimeoutTimer?: unknown;
  on(event: string, listener: (packet: { type: string; length: number }) => void): unknown;
  off(event: string, listener: (packet: { type: string; length: number }) => void): unknown;
  listenerCount(event: string): number;
  close(discard?: boolean): void;
}

/** Who waits for answers to pings. */
export interface PingListener {
  /** Ping number `ping` is on its way. */
  onPing(ping: number): void;
  /** Every ping up to number `ping` was answered. */
  onPong(ping: number): void;
}

const CONNECTION = Symbol("usercast");

type Known = Engine & { [CONNECTION]?: EngineConnection };

const NOBODY: readonly PingListener[] = [];

/** Connections that have gathered bytes in this turn. */
let gathered: EngineConnection[] = [];

function flushAll(): void {
  const due = gathered;
  gathered = [];
  for (const connection of due) connection.flush();
}

// One listener of each kind serves all engines, which are `this` in it.

function onPacketCreate(this: Known, { type }: { readonly type: string }): void {
  this[CONNECTION]?.creates(type);
}

function onPacket(this: Known, { type }: { readonly type: string }): void {
  this[CONNECTION]?.receives(type);
}

function onFlush(this: Known): void {
  this.off("flush", onFlush);
  const socket = this.transport.socket?._socket;
  if (!(socket instanceof NetSocket)) return;
  socket.cork();
  process.nextTick(() => socket.uncork());
}

/** In the place of `engine.close`, which tells nobody before it closes the transport. */
function closeInOrder(this: Known, discard?: boolean): void {
  this[CONNECTION]?.flush();
  (Object.getPrototypeOf(this) as Engine).close.call(this, discard);
}

/**
 * One engine connection, which several namespaces may share: how frames reach it, and which pings were answered.
 *
 * **Frames.** WebSocket frames that were prepared are gathered and leave when the event loop has gone through what had arrived, in one piece and
 * straight through the transport's socket. So an answer, and what others send to the same client meanwhile, are one write. The order is that of the calls
 * because nothing of the engine's waits when the first is gathered, and because they are written before the engine takes a packet of anybody's (it tells
 * by `packetCreate` first) and before it closes. A connection on a WebSocket has no other transport to change to.
 *
 * **Pings.** Packets of a connection arrive in order, so the pong that answers a ping proves that everything written before the ping
 * has reached the client. Pongs carry no label and the engine pings too, so all are counted. In Engine.IO 3 it is the client that
 * pings, some time after our pong: its ping answers for what was written before that pong.
 */
export class EngineConnection {
  readonly #engine: Engine;
  /** Who listens to pings. */
  #listeners = NOBODY;
  /** Counted since somebody listens. */
  #pings = 0;
  #pongs = 0;
  #isCounting = false;
  /** The transport that was looked at last. */
  #transport: Transport | undefined;
  /** Its socket, where frames can be written to that. */
  #socket: NetSocket | undefined;
  #isStrange = false;
  /** WebSocket frames of this turn; one character is one byte. */
  #gathered = "";

  /** The one there is of an engine connection. */
  static of(engine: Engine): EngineConnection {
    const known = engine as Known;
    known[CONNECTION] ??= new EngineConnection(engine);
    return known[CONNECTION];
  }

  private constructor(engine: Engine) {
    this.#engine = engine;
    engine.on("packetCreate", onPacketCreate);
    // Who has put something else there already is not to be passed by; then nothing is written past the engine.
    if (!Object.hasOwn(engine, "close")) engine.close = closeInOrder;
  }

  /** Whether a frame may be written to the transport's socket now. */
  get isDirect(): boolean {
    // What would have made it otherwise since the first frame of the turn would have had that one written.
    if (this.#gathered !== "") return true;
    const engine = this.#engine;
    if (engine.transport !== this.#transport) this.#look(engine.transport);
    // What the transport was given before is in its socket's buffer, whether or not it says that it is writable again.
    return (
      this.#socket !== undefined &&
      engine.writeBuffer?.length === 0 &&
      engine.readyState === "open" &&
      engine.upgrading === false &&
      engine.close === closeInOrder &&
      // Somebody counts packets: then they have to be told of ours, which only the engine can do.
      engine.listenerCount("packetCreate") === 1
    );
  }

  /** Whether the transport is a WebSocket that is not made as is known of Engine.IO and ws. */
  get isStrange(): boolean {
    return this.#isStrange;
  }

  /** Lets go of the request that the connection came with; of a server's first one not altogether, because it comes before anybody asks. */
  releaseRequest(): void {
    const { request, server } = this.#engine;
    const response = request?.[RESPONSE];
    if (response !== undefined) response.req = undefined;
    this.#engine.request = null;
    if (server === undefined || remembering.has(server)) return;
    remembering.add(server);
    server.use((request, response, next) => {
      request[RESPONSE] = response;
      next();
    });
  }

  /** Hands a packet of Socket.IO to the engine. */
  write(data: string | Uint8Array): void {
    this.#engine.write(data);
    // The engine writes each packet by itself, and ws each in two chunks: several leave in one write when it flushes.
    if ((this.#engine.writeBuffer?.length ?? 0) === 2) this.#engine.on("flush", onFlush);
  }

  /** Adds a WebSocket frame to those of this turn, where that `isDirect`. */
  gather(frame: string): void {
    if (this.#gathered === "" && gathered.push(this) === 1) setImmediate(flushAll);
    this.#gathered += frame;
    if (this.#gathered.length > MAX_GATHERED) this.flush();
  }

  /** Writes the frames of this turn that were not written yet. */
  flush(): void {
    if (this.#gathered === "") return;
    const frames = this.#gathered;
    this.#gathered = "";
    // Once the client or the network has ended it, there is nobody to write to.
    if (this.#transport?.socket?.readyState === OPEN && this.#socket?.writable) this.#socket.write(frames, "latin1");
  }

  /** Whether more bytes than `limit` wait for the network, `others` among them. */
  isOver(limit: number, others: number): boolean {
    // What the network takes at once does not wait.
    if (this.#gathered.length > limit) this.flush();
    const { transport } = this.#engine;
    const waiting =
      transport === this.#transport && this.#socket ? this.#socket.writableLength : transport.socket?.bufferedAmount;
    return others + this.#gathered.length + (waiting ?? 0) > limit;
  }

  /** Calls back when what waits in the transport's socket has left, or never will; not at all where nothing waits there. */
  whenWritten(written: () => void): void {
    this.flush();
    // Writing nothing is done when everything before it is.
    if (this.#engine.transport === this.#transport && this.#socket?.writableLength) this.#socket.write("", written);
  }

  /** Has a listener hear of pings. */
  listen(listener: PingListener): void {
    if (this.#listeners.includes(listener)) return;
    this.#listeners = this.#listeners.concat(listener);
    if (this.#isCounting) return;
    this.#isCounting = true;
    // The engine may have pinged before anybody listened; its timer tells. Our own pings cannot be that old.
    this.#pings = this.#engine.protocol !== 3 && this.#engine.pingTimeoutTimer ? 1 : 0;
    this.#engine.on("packet", onPacket);
  }

  unlisten(listener: PingListener): void {
    this.#listeners = this.#listeners.filter((other) => other !== listener);
  }

  /** The engine is about to take a packet. */
  creates(type: string): void {
    this.flush();
    if (!this.#isCounting || type !== (this.#engine.protocol === 3 ? "pong" : "ping")) return;
    this.#pings += 1;
    for (const listener of this.#listeners) listener.onPing(this.#pings);
  }

  /** The client's engine has sent a packet. */
  receives(type: string): void {
    // A client that answers what was not asked gains nothing by it.
    if (type !== (this.#engine.protocol === 3 ? "ping" : "pong") || this.#pongs >= this.#pings) return;
    this.#pongs += 1;
    for (const listener of this.#listeners) listener.onPong(this.#pongs);
  }

  #look(transport: Transport): void {
    this.#transport = transport;
    this.#socket = undefined;
    this.#isStrange = false;
    const { socket } = transport;
    // Engine.IO 3 has rules of its own for text.
    if (transport.name !== "websocket" || this.#engine.protocol !== 4) return;
    if (!isKnown(this.#engine)) this.#isStrange = true;
    else if (socket?.extensions === "") this.#socket = socket._socket as NetSocket;
  }
}

/** Whether a WebSocket transport and what lies below it are as described above. */
function isKnown({ transport, writeBuffer, upgrading, readyState }: Engine): boolean {
  const { socket } = transport;
  return (
    socket?._socket instanceof NetSocket &&
    socket._sender?._socket === socket._socket &&
    typeof socket._sender.sendFrame === "function" &&
    typeof socket.extensions === "string" &&
    typeof socket.bufferedAmount === "number" &&
    typeof socket.readyState === "number" &&
    Array.isArray(writeBuffer) &&
    typeof upgrading === "boolean" &&
    typeof readyState === "string"
  );
}
