import { EVENTS } from "@usercast/protocol";
import type { Encoded, Entry, Signal } from "./ports.ts";

// A frame is a splice of text that was encoded when the message was accepted. What is written here around it is plain
// concatenation: nothing of the payload is looked at again, however many devices it goes to.

/** The event and arguments of one Socket.IO packet, without the brackets. A plain client's frame is the message as it is. */
export type Frame = Encoded;

const around = (message: Encoded, head: string, headBytes = head.length): Frame => {
  const text = head + message.text;
  const bytes = message.bytes + headBytes;
  return message.attachments === undefined ? { text, bytes } : { text, bytes, attachments: message.attachments };
};

const optional = (name: string, value: string | undefined): string =>
  value === undefined ? "" : `,"${name}":${JSON.stringify(value)}`;

/** In one piece. What `+` makes is a tree of its parts, which would be walked for every frame that begins with it. */
const piece = (...parts: readonly string[]): string => parts.join("");

/** Frames for one connection of the SDK. All begin alike, so that is written once. */
export class Framer {
  readonly #message: string;
  readonly #signal: string;

  constructor(secret: string) {
    this.#message = piece('"', EVENTS.message, '","', secret, '",{"offset":');
    this.#signal = piece('"', EVENTS.signal, '","', secret, '",{');
  }

  /** `"usercast:message",secret,meta,event,data`. `after` is given when the connection's previous offset is not `offset - 1`. */
  message(entry: Entry, after: number | undefined): Frame {
    const place = after === undefined ? "" : `,"after":${after}`;
    const begin = `${this.#message}${`${entry.offset},"at":`}${entry.at}${place}`;
    if (entry.from === undefined && entry.key === undefined) return around(entry, `${begin}},`);
    const head = `${begin}${optional("from", entry.from)}${optional("key", entry.key)}},`;
    return around(entry, head, Buffer.byteLength(head));
  }

  /** `"usercast:signal",secret,meta,event,data`. */
  signal(signal: Signal): Frame {
    if (signal.from === undefined) return around(signal, `${this.#signal}},`);
    const head = `${this.#signal}"from":${JSON.stringify(signal.from)}},`;
    return around(signal, head, Buffer.byteLength(head));
  }
}

/** Any other event of ours; its arguments are small and written for one connection. */
export function controlFrame(event: string, ...args: readonly unknown[]): Frame {
  const text = JSON.stringify([event, ...args]).slice(1, -1);
  return { text, bytes: Buffer.byteLength(text) };
}

/** `0x80 | 1`: a text message in one piece, from a server and so without a mask. */
const TEXT = "\x81";
/** Of an event in the main namespace: what is compared need not be counted. */
const USUAL_HEAD = "42[";

/**
 * The text message `head + text + tail` as it travels on a WebSocket, header and payload, written as a string of bytes: one
 * character is one byte, so that frames are joined as strings, and leave without a copy where they are ASCII, as nearly all are.
 *
 * @param bytes those of `text`, which were counted when it was encoded
 * @param tail ASCII
 */
export function webSocketText(head: string, { text, bytes }: Pick<Frame, "text" | "bytes">, tail: string): string {
  const headBytes = head === USUAL_HEAD ? USUAL_HEAD.length : Buffer.byteLength(head);
  const length = headBytes + bytes + tail.length;
  const header = length < 126 ? TEXT + String.fromCharCode(length) : longHeader(length);
  const isAscii = headBytes === head.length && bytes === text.length;
  return isAscii ? `${header}${head}${text}${tail}` : header + Buffer.from(head + text + tail).toString("latin1");
}

function longHeader(length: number): string {
  if (length < 65_536) return TEXT + String.fromCharCode(126, length >> 8, length & 0xff);
  const bytes = Buffer.alloc(9, 0);
  bytes[0] = 127;
  bytes.writeUIntBE(length, 3, 6);
  return TEXT + bytes.toString("latin1");
}
