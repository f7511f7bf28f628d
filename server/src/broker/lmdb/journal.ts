import type { Entry } from "../../ports.ts";
import { CursorSet } from "../cursors.ts";
import { Log } from "../log.ts";
import type { Mailbox, StoredKey } from "./rows.ts";
import type { Change, Moved, Step } from "./step.ts";
import { entriesFrom, type Tables } from "./tables.ts";

// A write-ahead log. LMDB writes a whole page of 4 KiB for every mailbox that a transaction appends to, so a transaction writes what it
// changed into rows in order instead, and what they say is moved to the tables later, many messages of a mailbox at once. Until then it is
// here, in memory as well, and comes before what the tables say. A row also says what was moved, so that reading them again from any
// one on that is early enough leads to the same.

/** What a key, a message or a user takes here beside the message's own bytes, roughly. */
const OVERHEAD_BYTES = 128;

/** Users in one row, at most: one long value is written more slowly than several. */
const CHANGES_PER_ROW = 32;

/** Rows that are needed no more are removed a few at a time: so many more than are written. */
const REMOVED_PER_ROW = 2;
const REMOVED_AT_LEAST = 16;

/** What is known of one user beside the tables. It is changed in place: what is made anew with each message and lives on is what costs most. */
export interface Part {
  /** Whatever the tables have is void. */
  isPurged: boolean;
  mailbox: Mailbox | undefined;
  cursors: CursorSet | undefined;
  /** Messages without holes. */
  log: Log;
  keys: Map<string, StoredKey | undefined> | undefined;
  bytes: number;
  /** None of its messages and keys ends earlier. */
  endsAt: number;
}

/** What lies between the transactions and the tables. All it gives out is on disk. */
export class Journal {
  readonly #tables: Tables;
  readonly #parts = new Map<string, Part>();
  #bytes = 0;
  /** The first row that is there, the first that is needed, and the one that comes next. */
  #first = 0;
  #needed = 0;
  #next = 0;
  /** Whose parts are moved in this round, in the order of the tables' keys: neighbours share pages. */
  #round: readonly string[] = [];
  /** How many of them have been. */
  #moved = 0;
  /** The row that came next when the round began: what earlier ones say is in the tables when it ends. */
  #roundFirst = 0;

  /** Reads what an earlier process left. */
  constructor(tables: Tables) {
    this.#tables = tables;
    let first: number | undefined;
    for (const [place, step] of tables.journal.range(0, Number.MAX_SAFE_INTEGER)) {
      first ??= place;
      this.#next = place;
      this.#take(step);
    }
    this.#first = this.#needed = first ?? 0;
  }

  /** Bytes that are not in the tables yet, roughly. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Everybody of whom it knows something. */
  get parts(): Iterable<readonly [userId: string, Part]> {
    return this.#parts;
  }

  /** Who is to be moved next, in order. */
  *due(): Iterable<string> {
    if (this.#moved === this.#round.length) {
      this.#round = [...this.#parts.keys()].sort();
      this.#moved = 0;
      this.#roundFirst = this.#next;
    }
    for (let place = this.#moved; place < this.#round.length; place += 1) yield this.#round[place] as string;
  }

  /** What is known of a user beside the tables. */
  part(userId: string): Part | undefined {
    return this.#parts.get(userId);
  }

  /** A user's mailbox, wherever it is. */
  mailbox(userId: string): Readonly<Mailbox> | undefined {
    const part = this.#parts.get(userId);
    return part?.mailbox ?? (part?.isPurged ? undefined : this.#tables.mailboxes.get(userId));
  }

  /** A user's cursors. */
  cursors(userId: string): CursorSet | undefined {
    const part = this.#parts.get(userId);
    return part?.cursors ?? (part?.isPurged ? undefined : this.#tables.cursors.get(userId));
  }

  /** A user's key. */
  key(userId: string, hash: string): StoredKey | undefined {
    const part = this.#parts.get(userId);
    if (part?.keys?.has(hash)) return part.keys.get(hash);
    return part?.isPurged ? undefined : this.#tables.keys.get([userId, hash]);
  }

  /**
   * The messages of a user from an offset on, in order.
   * @param moved what the transaction that asks has moved
   */
  entriesFrom(userId: string, offset: number, moved?: Moved): Iterable<Entry> {
    const part = this.#parts.get(userId);
    if (part === undefined || (moved && moved[1] === null)) return entriesFrom(this.#tables, userId, offset);
    return this.#joined(userId, offset, part, moved);
  }

  *#joined(userId: string, offset: number, { log, isPurged }: Part, moved: Moved | undefined): Iterable<Entry> {
    const from = log.indexAfter(moved?.[1] ?? 0);
    const first = from < log.size ? log.offset(from) : Number.MAX_SAFE_INTEGER;
    if (offset < first && (!isPurged || moved)) yield* entriesFrom(this.#tables, userId, offset, first);
    yield* log.from(Math.max(from, log.indexAfter(offset - 1)));
  }

  /**
   * Adds a step, in its transaction. What it returns is to be called when that is on disk.
   * @param done how many of those who were due have been moved as a whole
   */
  write(step: Step, done: number): () => void {
    const rows = rowsOf(step);
    rows.forEach((row, index) => {
      this.#tables.journal.put(this.#next + index, row);
    });
    const moved = this.#moved + done;
    const needed = this.#neededAfter(step, moved);
    const first = Math.min(needed, this.#first + REMOVED_AT_LEAST + REMOVED_PER_ROW * rows.length);
    for (let place = this.#first; place < first; place += 1) this.#tables.journal.remove(place);
    return () => {
      this.#first = first;
      this.#needed = needed;
      this.#moved = moved;
      for (const row of rows) this.#take(row);
    };
  }

  /** The first row that is needed after a step. */
  #neededAfter({ moved, changes }: Step, movedOfRound: number): number {
    const gone = moved.filter(([, through]) => through === null).length;
    if (gone === this.#parts.size && changes.length === 0) return this.#next;
    return movedOfRound === this.#round.length ? Math.max(this.#needed, this.#roundFirst) : this.#needed;
  }

  /** Comes to know what the next row says. */
  #take({ moved, changes }: Step): void {
    for (const one of moved) this.#drop(one);
    for (const [userId, change] of changes) this.#add(userId, change);
    this.#next += 1;
  }

  #drop([userId, through]: Moved): void {
    const part = this.#parts.get(userId);
    if (part === undefined) return;
    if (through === null) {
      this.#parts.delete(userId);
      this.#bytes -= part.bytes;
      return;
    }
    // Purging came before the messages.
    part.isPurged = false;
    for (const { log } = part; log.size > 0 && log.offset(0) <= through; log.drop()) {
      this.#resize(part, -log.bytes(0) - OVERHEAD_BYTES);
    }
  }

  #add(userId: string, { isPurged, mailbox, cursors, entries = [], keys }: Change): void {
    let part = this.#parts.get(userId);
    if (part === undefined) {
      part = nothing();
      this.#parts.set(userId, part);
      this.#resize(part, OVERHEAD_BYTES);
    }
    if (isPurged) {
      this.#resize(part, OVERHEAD_BYTES - part.bytes);
      Object.assign(part, nothing(), { isPurged, bytes: OVERHEAD_BYTES });
    }
    if (mailbox !== undefined) part.mailbox = Object.assign(part.mailbox ?? { ...mailbox }, mailbox);
    if (cursors !== undefined) {
      part.cursors ??= new CursorSet();
      part.cursors.assign(cursors);
    }
    for (const entry of entries) {
      part.log.push(entry);
      part.endsAt = Math.min(part.endsAt, entry.expiresAt);
      this.#resize(part, entry.bytes + OVERHEAD_BYTES);
    }
    for (const [hash, key] of keys ?? []) {
      part.keys ??= new Map();
      part.keys.set(hash, key);
      part.endsAt = Math.min(part.endsAt, key?.expiresAt ?? part.endsAt);
      this.#resize(part, OVERHEAD_BYTES);
    }
  }

  #resize(part: Part, bytes: number): void {
    part.bytes += bytes;
    this.#bytes += bytes;
  }
}

/** A step as rows, of which only the first moves anything. */
function rowsOf({ moved, changes }: Step): readonly Step[] {
  const rows: Step[] = [];
  const left = [...changes];
  do rows.push({ moved: rows.length === 0 ? moved : [], changes: left.splice(0, CHANGES_PER_ROW) });
  while (left.length > 0);
  return rows;
}

const nothing = (): Part => ({
  isPurged: false,
  mailbox: undefined,
  cursors: undefined,
  log: new Log(),
  keys: undefined,
  bytes: 0,
  endsAt: Number.POSITIVE_INFINITY,
});
