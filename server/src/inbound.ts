import { EVENTS } from "@usercast/protocol";
import type { Socket } from "socket.io";

// Confirmations and sends are the packets of ours that come about as often as messages leave. Socket.IO's way of reading a packet and of
// answering it costs several times what is done with it, so these are looked at before.

/** Who is given what is taken from a socket. */
export interface Taker {
  /** A confirmation that wants no answer. */
  onAck(offset: number): void;
  /** A send, and the number of the packet that its answer is to have; empty where none is wanted. */
  onSend(request: unknown, packet: string): void;
}

type Listener = (packet: unknown) => void;

interface Engine {
  readonly readyState: string;
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
const SEND = `["${EVENTS.send}",`;

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

/** Where the arguments of a send begin, after the number of the packet; -1 for anything else. */
function sendIn(packet: string, start: number): number {
  let at = start;
  while (at - start <= MAX_DIGITS && isDigit(packet.charCodeAt(at))) at += 1;
  return packet.startsWith(SEND, at) ? at : -1;
}

/** The one argument of a send; nothing where there is another number of them, or no JSON. */
function requestIn(packet: string, start: number): { readonly request: unknown } | undefined {
  try {
    const args: unknown[] = JSON.parse(packet.slice(start));
    return args.length === 2 ? { request: args[1] } : undefined;
  } catch {
    return undefined;
  }
}

/** How packets of one namespace begin: of any, and confirmations. */
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
  /** Socket.IO's own listener. */
  readonly #rest: Listener;
  /** Packets that were passed on and whose handlers have not been called yet. */
  #ahead = 0;
  #isReleased = false;

  /** Nothing where something else than Socket.IO, about which nothing is known, listens to the engine connection. */
  static of(socket: Socket, taker: Taker): Inbound | undefined {
    const [rest, ...others] = engineOf(socket).listeners("data");
    return rest === undefined || others.length > 0 ? undefined : new Inbound(socket, rest, taker);
  }

  private constructor(socket: Socket, rest: Listener, taker: Taker) {
    this.#socket = socket;
    this.#rest = rest;
    this.#taker = taker;
    this.#heads = socket.nsp.name === "/" ? MAIN : headsOf(`2${socket.nsp.name},`);
    const engine = engineOf(socket);
    engine.off("data", rest);
    engine.on("data", this.#look);
  }

  /** Leaves the socket as it was found. */
  release(): void {
    this.#isReleased = true;
    const engine = engineOf(this.#socket);
    // Another namespace on the same connection may stand before us: then ours stays, and passes everything on.
    if (!engine.listeners("data").includes(this.#look)) return;
    engine.off("data", this.#look);
    if (engine.readyState === "open") engine.on("data", this.#rest);
  }

  readonly #look = (packet: unknown): void => {
    if (typeof packet !== "string" || this.#isReleased || !isUnobserved(this.#socket) || !this.#take(packet))
      this.#passOn(packet);
  };

  #take(packet: string): boolean {
    const offset = packet.startsWith(this.#heads.ack) ? numberIn(packet, this.#heads.ack.length) : -1;
    if (offset >= 0) {
      this.#taker.onAck(offset);
      return true;
    }
    // A send must not get in before what the client sent before it.
    if (this.#ahead > 0 || !packet.startsWith(this.#heads.any)) return false;
    const start = sendIn(packet, this.#heads.any.length);
    const taken = start < 0 ? undefined : requestIn(packet, start);
    if (taken === undefined) return false;
    this.#taker.onSend(taken.request, packet.slice(this.#heads.any.length, start));
    return true;
  }

  #passOn(packet: unknown): void {
    this.#rest(packet);
    this.#ahead += 1;
    // Socket.IO calls handlers two ticks later.
    const isHandled = (): void => {
      this.#ahead -= 1;
    };
    process.nextTick(() => process.nextTick(() => process.nextTick(isHandled)));
  }
}

const engineOf = (socket: Socket): Engine => socket.conn as unknown as Engine;

/** Whether nobody but us hears every event of a socket, and nothing stands before its events. */
const isUnobserved = (socket: Socket): boolean =>
  socket.listenersAny().length === 1 && (socket as unknown as Observers).fns?.length === 0;
