import type { Entry, Page } from "../ports.ts";

/** Bytes of messages in one page, at most, where a page holds more than one message. */
const PAGE_BYTES = 1_048_576;

/**
 * The unexpired ones of `candidates`, which come in order of offset, up to `limit` of them and about a mebibyte, and how
 * far they are complete. At least one, where there is one: otherwise a reader would never get past a large message.
 */
export function fillPage(
  candidates: Iterable<Entry>,
  limit: number,
  now: number,
  head: number,
): Pick<Page, "entries" | "through"> {
  const entries: Entry[] = [];
  let bytes = 0;
  for (const entry of candidates) {
    if (entry.expiresAt <= now) continue;
    const last = entries.at(-1);
    if (last && (entries.length >= limit || bytes + entry.bytes > PAGE_BYTES)) return { entries, through: last.offset };
    entries.push(entry);
    bytes += entry.bytes;
  }
  return { entries, through: head };
}
