import { EVENTS } from "@usercast/protocol";
import type { Socket } from "socket.io";

// Confirmations and sends are the packets of ours that come about as often as messages leave. Socket.IO's way of reading a packet and of
// answering it costs several times what is done with it, so these are looked at before; and so is a registration, which is all that many sockets
// ever say, so that they need no listeners.

/** Who is given what is taken from a socket. */
export interface Taker {
  /** Whether it has listeners on the socket, one of them for all events. */
  readonly isListening: boolean;
  /** Something comes that Socket.IO is given, so it is to be listened to. Idle sockets need no listeners. Without effect where it is already. */
  listen(): void;
  /** A confirmation that wants no answer. */
  onAck(offset: number): void;
  /** A send, and the number of the packet that its answer is to have; empty where none is wanted. */
  onSend(request: unknown, packet: string): void;
  /** What a client registers with, likewise. */
  onRegister(value: unknown, packet: string): void;
}

type Listener = (packet: unknown) => void;

const INBOUND = Symbol("usercast");

interface Engine {
  readonly readyState: string;
  /** Who looks at packets first, where several namespaces share the connection. */
  [INBOUND]?: Inbound | undefined;
  listeners(event: "data"): Listener[];
  on(event: "data", listener: Listener): unknown;
  off(event: "data", listener: Listener): unknown;
}

interface Observers {
  /** Socket.IO's list of the socket's middleware. */
  readonly fns?: readonly unknown[];
}

/** More digits than an offset can have are not read here. */
const MAX_DIGITS = 15;
const ZERO = 48;
/** How the arguments of an event begin. */
const argumentsOf = (event: string): string => `[${JSON.stringify(event)},`;
const SEND = argumentsOf(EVENTS.send);

const isDigit = (unit: number): boolean => unit >= ZERO && unit <= ZERO + 9;

/** The number that is all of `text` from `start` up to its closing bracket; -1 for anything else. */
function numberIn(text: string, start: number): number {
  const end = text.length - 1;
  if (end <= start || end - start > MAX_DIGITS || text[end] !== "]") return -1;
  let number = 0;
  for (let i = start; i < end; i += 1) {
    const digit = text.charCodeAt(i) - ZERO;
    if (digit < 0 || digit > 9) return -1;
    number = number * 10 + digit;
  }
  return number;
}

/** Where the number of a packet ends, and its arguments begin. */
function endOfNumber(packet: string, start: number): number {
  let at = start;
  while (at - start <= MAX_DIGITS && isDigit(packet.charCodeAt(at))) at += 1;
  return at;
}

/** The one argument of an event; nothing where there is another number of them, or no JSON. */
function argumentIn(packet: string, start: number): { readonly value: unknown } | undefined {
  try {
    const args: unknown[] = JSON.parse(packet.slice(start));
    return args.length === 2 ? { value: args[1] } : undefined;
  } catch {
    return undefined;
  }
}

/** How packets of one namespace begin: of any event, and confirmations. */
interface Heads {
  readonly any: string;
  readonly ack: string;
}

const headsOf = (any: string): Heads => ({ any, ack: `${any}["${EVENTS.ack}",` });
const MAIN = headsOf("2");

/**
 * Takes every confirmation that wants no answer, and every send, instead of having Socket.IO emit it. Where the application has middleware
 * on the socket, or hears all its events, it gets them as ever.
 */
export class Inbound {
  readonly #socket: Socket;
  readonly #taker: Taker;
  readonly #heads: Heads;
  /** What a registration is called, where there is one by event. */
  readonly #registerEvent: string | false;
  /** Who is given the rest: Socket.IO's own listener, or another namespace that was here before. */
  #rest: Listener | Inbound;
  /** Packets that were passed on and whose handlers have not been called yet. */
  #ahead = 0;

  /** Nothing where something else than Socket.IO, about which nothing is known, listens to the engine connection. */
  static of(socket: Socket, taker: Taker, registerEvent: string | false): Inbound | undefined {
    const engine = engineOf(socket);
    const [rest, ...others] = engine.listeners("data");
    if (rest === undefined || others.length > 0) return undefined;
    return new Inbound(socket, rest === onData ? (engine[INBOUND] ?? rest) : rest, taker, registerEvent);
  }

  private constructor(socket: Socket, rest: Listener | Inbound, taker: Taker, registerEvent: string | false) {
    this.#socket = socket;
    this.#rest = rest;
    this.#taker = taker;
    this.#registerEvent = registerEvent;
    this.#heads = socket.nsp.name === "/" ? MAIN : headsOf(`2${socket.nsp.name},`);
    const engine = engineOf(socket);
    engine[INBOUND] = this;
    if (typeof rest !== "function") return;
    engine.off("data", rest);
    engine.on("data", onData);
  }

  /** Leaves the socket as it was found. */
  release(): void {
    const engine = engineOf(this.#socket);
    const rest = this.#rest;
    const first = engine[INBOUND];
    if (first === undefined) return;
    if (first !== this) first.#replace(this, rest);
    else if (typeof rest !== "function") engine[INBOUND] = rest;
    else {
      engine[INBOUND] = undefined;
      engine.off("data", onData);
      if (engine.readyState === "open") engine.on("data", rest);
    }
  }

  /** Another namespace on the same connection has left. */
  #replace(gone: Inbound, by: Listener | Inbound): void {
    if (this.#rest === gone) this.#rest = by;
    else if (typeof this.#rest !== "function") this.#rest.#replace(gone, by);
  }

  /** A packet that the client sent. */
  look(packet: unknown): void {
    if (typeof packet !== "string" || !this.#isUnobserved || !this.#take(packet)) this.#passOn(packet);
  }

  /** Whether nobody but the taker hears every event of the socket, and nothing stands before its events. */
  get #isUnobserved(): boolean {
    const others = this.#socket.listenersAny().length - (this.#taker.isListening ? 1 : 0);
    return others === 0 && (this.#socket as unknown as Observers).fns?.length === 0;
  }

  #take(packet: string): boolean {
    const offset = packet.startsWith(this.#heads.ack) ? numberIn(packet, this.#heads.ack.length) : -1;
    if (offset >= 0) {
      this.#taker.onAck(offset);
      return true;
    }
    // What is taken must not get in before what the client sent before it.
    if (this.#ahead > 0 || !packet.startsWith(this.#heads.any)) return false;
    const start = endOfNumber(packet, this.#heads.any.length);
    const isSend = packet.startsWith(SEND, start);
    if (!isSend && !this.#isRegister(packet, start)) return false;
    const taken = argumentIn(packet, start);
    if (taken === undefined) return false;
    const number = packet.slice(this.#heads.any.length, start);
    if (isSend) this.#taker.onSend(taken.value, number);
    else this.#taker.onRegister(taken.value, number);
    return true;
  }

  /** Whether these are the arguments of a registration, of which the application does not hear as well. */
  #isRegister(packet: string, start: number): boolean {
    const event = this.#registerEvent;
    if (event === false || !packet.startsWith(argumentsOf(event), start)) return false;
    return this.#socket.listenerCount(event) === (this.#taker.isListening ? 1 : 0);
  }

  #passOn(packet: unknown): void {
    this.#taker.listen();
    if (typeof this.#rest === "function") this.#rest(packet);
    else this.#rest.look(packet);
    this.#ahead += 1;
    // Socket.IO calls handlers two ticks later.
    const isHandled = (): void => {
      this.#ahead -= 1;
    };
    process.nextTick(() => process.nextTick(() => process.nextTick(isHandled)));
  }
}

/** One listener serves all engine connections, which are `this` in it. */
function onData(this: Engine, packet: unknown): void {
  this[INBOUND]?.look(packet);
}

const engineOf = (socket: Socket): Engine => socket.conn as unknown as Engine;
