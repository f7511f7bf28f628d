import { EVENTS } from "@usercast/protocol";
import type { Socket } from "socket.io";

// A confirmation is the one packet of ours that comes about as often as messages leave, and says one number. Socket.IO's way of reading it costs
// several times what is done with it, so it is looked at before.

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

/**
 * Calls `take` with the offset of every confirmation that wants no answer, instead of having Socket.IO emit it. Where the application has
 * middleware on the socket, or hears all its events, it gets them as ever; so does whoever speaks through a parser of their own, whose
 * packets are not these texts.
 *
 * @returns leaves the socket as it was found
 */
export function takeAcks(socket: Socket, take: (offset: number) => void): () => void {
  const engine = socket.conn as unknown as Engine;
  const [rest, ...others] = engine.listeners("data");
  // It is Socket.IO's own that is stood before; where there is none or another, nothing is known.
  if (rest === undefined || others.length > 0) return () => {};
  const namespace = socket.nsp.name === "/" ? "" : `${socket.nsp.name},`;
  const prefix = `2${namespace}["${EVENTS.ack}",`;
  let isReleased = false;
  const look: Listener = (packet) => {
    const offset = typeof packet === "string" && packet.startsWith(prefix) ? numberIn(packet, prefix.length) : -1;
    if (offset >= 0 && !isReleased && isUnobserved(socket)) take(offset);
    else rest(packet);
  };
  engine.off("data", rest);
  engine.on("data", look);
  return () => {
    isReleased = true;
    // Another namespace on the same connection may stand before us: then ours stays, and passes everything on.
    if (!engine.listeners("data").includes(look)) return;
    engine.off("data", look);
    if (engine.readyState === "open") engine.on("data", rest);
  };
}

/** Whether nobody but us hears every event of a socket, and nothing stands before its events. */
const isUnobserved = (socket: Socket): boolean =>
  socket.listenersAny().length === 1 && (socket as unknown as Observers).fns?.length === 0;
