import type { Entry, Page } from "../../ports.ts";
import { readEntry } from "./rows.ts";
import type { RawAnswer } from "./scripts.ts";

/** Bytes of messages in one page, at most, where a page holds more than one message. */
const PAGE_BYTES = 1_048_576;

/** The answer of `read.lua`, which was asked for one entry more than `wanted`, and the time it was given. */
export function pageOf(answer: RawAnswer, after: number, wanted: number): { readonly now: number; readonly page: Page } {
  const [time, epoch, offset, at, trimmed, ...rows] = answer as readonly RawAnswer[];
  const now = Number(time);
  const head = { epoch: String(epoch), offset: Number(offset), at: Number(at) };
  const entries: Entry[] = [];
  let [bytes, through] = [0, after];
  let isCut = rows.length > wanted;
  for (const row of rows.slice(0, wanted)) {
    const entry = readEntry(row as Buffer);
    if (entry.expiresAt > now) {
      if (entries.length > 0 && bytes + entry.bytes > PAGE_BYTES) {
        isCut = true;
        break;
      }
      entries.push(entry);
      bytes += entry.bytes;
    }
    through = entry.offset;
  }
  const page = { epoch: head.epoch, head, trimmed: Number(trimmed), entries, through: isCut ? through : head.offset };
  return { now, page };
}
