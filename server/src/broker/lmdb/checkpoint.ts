import type { Entry } from "../../ports.ts";
import type { Part } from "./journal.ts";
import type { Moved } from "./step.ts";
import { entriesFrom, type Tables } from "./tables.ts";

// What the journal holds is moved to the tables. All of this is done in a transaction.

/** How much is moved. */
interface Extent {
  /** Messages at most. */
  readonly limit: number;
  /** Whether a message is still worth it. */
  readonly isKept: (entry: Entry) => boolean;
}

/** Moves what the journal has of a user, or some of it. */
export function checkpoint(tables: Tables, userId: string, part: Part, { limit, isKept }: Extent): Moved {
  const { isPurged, mailbox, cursors, log, keys = [] } = part;
  if (isPurged) removeAll(tables, userId);
  putEntries(tables, userId, log.from(0, Math.min(limit, log.size)), isKept);
  if (limit < log.size) return [userId, log.offset(limit - 1)];
  for (const [hash, key] of keys) {
    if (key === undefined) tables.keys.remove([userId, hash]);
    else {
      tables.keys.put([userId, hash], key);
      tables.expiries.put([key.expiresAt, userId, hash], 0);
    }
  }
  if (cursors !== undefined) tables.cursors.put(userId, cursors);
  if (mailbox !== undefined) {
    const first = tables.mailboxes.get(userId)?.first ?? 1;
    if (first < mailbox.first) removeEntries(tables, userId, first, mailbox.first);
    tables.mailboxes.put(userId, mailbox);
  }
  return [userId, null];
}

/** Which messages are looked at, when, and how many are removed at most. */
interface Ended {
  readonly first: number;
  readonly last: number;
  readonly now: number;
  readonly limit: number;
}

/** Removes messages that have ended, in order up to the first that has not; `removed` is told of each. */
export function removeEnded(tables: Tables, userId: string, range: Ended, removed: (entry: Entry) => void): void {
  const { first, last, now, limit } = range;
  const ended: Entry[] = [];
  for (const entry of entriesFrom(tables, userId, first, last + 1)) {
    if (entry.expiresAt <= now && ended.length < limit) ended.push(entry);
    else {
      putExpiry(tables, userId, entry, last);
      break;
    }
  }
  for (const entry of ended) {
    tables.entries.remove([userId, entry.offset]);
    removed(entry);
  }
}

/** Messages in order, and when they end. */
function putEntries(tables: Tables, userId: string, entries: Iterable<Entry>, isKept: (entry: Entry) => boolean): void {
  let first: Entry | undefined;
  let last: Entry | undefined;
  for (const entry of entries) {
    if (!isKept(entry)) continue;
    tables.entries.put([userId, entry.offset], entry);
    if (first && last && entry.expiresAt < last.expiresAt) {
      putExpiry(tables, userId, first, last.offset);
      first = undefined;
    }
    first ??= entry;
    last = entry;
  }
  if (first && last) putExpiry(tables, userId, first, last.offset);
}

/** Removes the messages from an offset to before another. */
function removeEntries(tables: Tables, userId: string, first: number, end: number): void {
  let last = 0;
  for (const { offset, expiresAt } of [...entriesFrom(tables, userId, first, end)]) {
    tables.entries.remove([userId, offset]);
    last = Math.max(last, tables.expiries.get([expiresAt, userId, offset]) ?? 0);
    tables.expiries.remove([expiresAt, userId, offset]);
  }
  // The rest of those that one row leads to.
  for (const entry of entriesFrom(tables, userId, end, last + 1)) {
    putExpiry(tables, userId, entry, last);
    break;
  }
}

function removeAll(tables: Tables, userId: string): void {
  removeEntries(tables, userId, 0, Number.MAX_SAFE_INTEGER);
  for (const [[, hash], { expiresAt }] of [...tables.keys.range([userId, ""], [userId, "\uffff"])]) {
    tables.keys.remove([userId, hash]);
    tables.expiries.remove([expiresAt, userId, hash]);
  }
  tables.cursors.remove(userId);
  tables.mailboxes.remove(userId);
}

const putExpiry = (tables: Tables, userId: string, { expiresAt, offset }: Entry, last: number): void =>
  tables.expiries.put([expiresAt, userId, offset], last);
