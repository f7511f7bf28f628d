import { EVENTS } from "@usercast/protocol";
import type { Encoded, Entry, Signal } from "./ports.ts";

// A frame is a splice of text that was encoded when the message was accepted. What is written here around it is plain
// concatenation: nothing of the payload is looked at again, however many devices it goes to.

/** The event and arguments of one Socket.IO packet, without the brackets. A plain client's frame is the message as it is. */
export type Frame = Encoded;

const around = (message: Encoded, head: string): Frame => {
  const text = head + message.text;
  const bytes = message.bytes + head.length;
  return message.attachments === undefined ? { text, bytes } : { text, bytes, attachments: message.attachments };
};

const optional = (name: string, value: string | undefined): string =>
  value === undefined ? "" : `,"${name}":${JSON.stringify(value)}`;

/** `"usercast:message",secret,meta,event,data`. `after` is given when the connection's previous offset is not `offset - 1`. */
export function messageFrame(entry: Entry, secret: string, after: number | undefined): Frame {
  const place = after === undefined ? "" : `,"after":${after}`;
  const meta = `{"offset":${entry.offset},"at":${entry.at}${place}${optional("from", entry.from)}${optional("key", entry.key)}}`;
  return around(entry, `"${EVENTS.message}","${secret}",${meta},`);
}

/** `"usercast:signal",secret,meta,event,data`. */
export function signalFrame(signal: Signal, secret: string): Frame {
  const meta = signal.from === undefined ? "{}" : `{"from":${JSON.stringify(signal.from)}}`;
  return around(signal, `"${EVENTS.signal}","${secret}",${meta},`);
}

/** Any other event of ours; its arguments are small and written for one connection. */
export function controlFrame(event: string, ...args: readonly unknown[]): Frame {
  const text = JSON.stringify([event, ...args]).slice(1, -1);
  return { text, bytes: text.length };
}
