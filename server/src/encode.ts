import { parseEvent, UsercastError } from "@usercast/protocol";
import { Encoder, PacketType } from "socket.io-parser";
import type { Encoded } from "./ports.ts";

const encoder = new Encoder();

/** How the encoder marks the place of an attachment. */
const PLACEHOLDER = '"_placeholder":true';

/**
 * Whether JSON says all there is: no object in it could hold binary data, or be turned into something else that does. Most
 * messages are of this kind, and need no encoder that looks for more.
 */
function isPlain(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return true;
  if (Array.isArray(value)) return value.every(isPlain);
  const prototype: unknown = Object.getPrototypeOf(value);
  if ((prototype !== Object.prototype && prototype !== null) || "toJSON" in value) return false;
  for (const name in value) if (!isPlain((value as Readonly<Record<string, unknown>>)[name])) return false;
  return true;
}

// Applications have few names for their events, and send many in a row under one.
let newestName = "";
let newestQuoted = '""';

function quoted(name: string): string {
  if (name !== newestName) {
    newestQuoted = JSON.stringify(name);
    newestName = name;
  }
  return newestQuoted;
}

const isUnserialisable = (data: unknown): boolean => typeof data === "function" || typeof data === "symbol";

/** A copy, because the caller may write into its buffer again before ours has left. */
function copyOf(part: unknown): Uint8Array {
  if (part instanceof ArrayBuffer) return new Uint8Array(part.slice(0));
  if (ArrayBuffer.isView(part)) return new Uint8Array(part.buffer, part.byteOffset, part.byteLength).slice();
  throw new UsercastError("INVALID_DATA", "Binary data must be a Buffer, an ArrayBuffer or a view of one.");
}

/**
 * Event and data as they will travel to every device: encoded once, when the message is sent. Missing data is `null`.
 * @throws UsercastError `INVALID_EVENT`, `RESERVED_EVENT`, `INVALID_DATA` or `PAYLOAD_TOO_LARGE`
 */
export function encodeMessage(event: unknown, data: unknown, maxBytes: number): Encoded {
  const name = parseEvent(event);
  if (isUnserialisable(data)) throw new UsercastError("INVALID_DATA");
  let parts: readonly unknown[];
  try {
    const value = data ?? null;
    if (isPlain(value)) return ofText(`${quoted(name)},${JSON.stringify(value)}`, maxBytes);
    parts = encoder.encode({ type: PacketType.EVENT, nsp: "/", data: [name, value] });
  } catch (error) {
    if (error instanceof UsercastError) throw error;
    // A circle, a BigInt, a throwing toJSON, or nesting deeper than the stack.
    throw new UsercastError("INVALID_DATA", undefined, { cause: error });
  }
  const packet = parts[0] as string;
  // Socket.IO's encoder gives `2["message",…]`, or `51-["message",…]` before one attachment: only what the brackets hold is kept.
  const text = packet.slice(packet.indexOf("[") + 1, -1);
  if (parts.length === 1) return ofText(text, maxBytes);
  const attachments = parts.slice(1).map(copyOf);
  // A placeholder of the sender's own would name an attachment that is not there, and every client would break off on it,
  // again and again. Inside JSON strings the quotes are escaped, so only real fields are counted.
  if (text.split(PLACEHOLDER).length - 1 !== attachments.length) throw new UsercastError("INVALID_DATA");
  const bytes = attachments.reduce((sum, part) => sum + part.byteLength, Buffer.byteLength(text));
  return { text, attachments, bytes: checkedSize(bytes, maxBytes) };
}

/** @throws UsercastError `PAYLOAD_TOO_LARGE` */
const ofText = (text: string, maxBytes: number): Encoded => ({ text, bytes: checkedSize(Buffer.byteLength(text), maxBytes) });

/** @throws UsercastError `PAYLOAD_TOO_LARGE` */
function checkedSize(bytes: number, maxBytes: number): number {
  if (bytes <= maxBytes) return bytes;
  throw new UsercastError("PAYLOAD_TOO_LARGE", `The message takes ${bytes} bytes; the server accepts ${maxBytes}.`);
}

/** The arguments a frame holds, for those who need values again: a custom parser, and whoever reads a mailbox on the server. */
export function decodeArguments(encoded: Encoded): unknown[] {
  const args: unknown[] = JSON.parse(`[${encoded.text}]`);
  return encoded.attachments === undefined ? args : args.map((value) => withAttachments(value, encoded.attachments ?? []));
}

function withAttachments(value: unknown, attachments: readonly Uint8Array[]): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map((item) => withAttachments(item, attachments));
  if ("_placeholder" in value && value._placeholder === true && "num" in value && typeof value.num === "number") {
    return attachments[value.num] ?? null;
  }
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, withAttachments(item, attachments)]));
}
