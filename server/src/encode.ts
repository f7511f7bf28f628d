import { parseEvent, UsercastError } from "@usercast/protocol";
import { Encoder, PacketType } from "socket.io-parser";
import type { Encoded } from "./ports.ts";

const encoder = new Encoder();

/** How the encoder marks the place of an attachment. */
const PLACEHOLDER = '"_placeholder":true';

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
  let parts: unknown[];
  try {
    parts = encoder.encode({ type: PacketType.EVENT, nsp: "/", data: [name, data ?? null] });
  } catch (error) {
    // A circle, a BigInt, a throwing toJSON, or nesting deeper than the stack.
    throw new UsercastError("INVALID_DATA", undefined, { cause: error });
  }
  const [packet, ...binary] = parts as [string, ...unknown[]];
  // Socket.IO's encoder gives `2["message",…]`, or `51-["message",…]` before one attachment: only what the brackets hold is kept.
  const text = packet.slice(packet.indexOf("[") + 1, -1);
  const attachments = binary.map(copyOf);
  // A placeholder of the sender's own would name an attachment that is not there, and every client would break off on it,
  // again and again. Inside JSON strings the quotes are escaped, so only real fields are counted.
  if (attachments.length > 0 && text.split(PLACEHOLDER).length - 1 !== attachments.length)
    throw new UsercastError("INVALID_DATA");
  const bytes = attachments.reduce((sum, part) => sum + part.byteLength, Buffer.byteLength(text));
  if (bytes > maxBytes) {
    throw new UsercastError("PAYLOAD_TOO_LARGE", `The message takes ${bytes} bytes; the server accepts ${maxBytes}.`);
  }
  return attachments.length === 0 ? { text, bytes } : { text, attachments, bytes };
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
