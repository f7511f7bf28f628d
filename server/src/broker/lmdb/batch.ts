import type { Entry } from "../../ports.ts";
import { CursorSet } from "../cursors.ts";
import type { Journal } from "./journal.ts";
import type { Mailbox, StoredKey, Totals } from "./rows.ts";
import type { Change, Moved, Step } from "./step.ts";
import type { Tables } from "./tables.ts";

/** Users whose mailboxes and cursors transactions remember, so that they need not read them again. */
const REMEMBERED_USERS = 16_384;

/** What transactions know and leave to each other. */
export interface Known {
  readonly tables: Tables;
  readonly journal: Journal;
  /** As the last transaction left them, for the next; to be forgotten when one fails. Nobody else may look here: it may not be on disk yet. */
  readonly mailboxes: Map<string, Mailbox | undefined>;
  /** The same of how far users have come. */
  readonly cursors: Map<string, CursorSet>;
}

/** What one transaction changes, and sees: that first, then what the journal holds, and then the tables. */
export class Batch {
  readonly totals: Totals;
  /** What was moved from the journal to the tables, by user. */
  readonly moved = new Map<string, Moved>();
  readonly #known: Known;
  readonly #changes = new Map<string, Change>();
  /** Whose mailboxes and whose cursors are to be written: once, however much of the batch is theirs. */
  readonly #filled = new Set<string>();
  readonly #advanced = new Set<string>();

  constructor(known: Known) {
    if (known.mailboxes.size > REMEMBERED_USERS) known.mailboxes.clear();
    if (known.cursors.size > REMEMBERED_USERS) known.cursors.clear();
    this.#known = known;
    this.totals = known.tables.totals.get("totals") ?? { mailboxes: 0, bytes: 0, keys: 0 };
  }

  /** All of it, if it is anything. */
  step(): Step | undefined {
    for (const userId of this.#filled) this.#change(userId).mailbox = this.mailbox(userId);
    for (const userId of this.#advanced) this.#change(userId).cursors = this.cursors(userId);
    if (this.#changes.size + this.moved.size === 0) return undefined;
    return { moved: [...this.moved.values()], changes: [...this.#changes] };
  }

  /** A user's mailbox, to be changed by whoever says so by `filled`. */
  mailbox(userId: string): Mailbox | undefined {
    const known = this.#known.mailboxes.get(userId);
    if (known !== undefined || this.#known.mailboxes.has(userId)) return known;
    const kept = this.#known.journal.mailbox(userId);
    const mailbox = kept && { ...kept };
    this.#known.mailboxes.set(userId, mailbox);
    return mailbox;
  }

  /** A user's cursors, to be changed by whoever says so by `advanced`. */
  cursors(userId: string): CursorSet {
    const known = this.#known.cursors.get(userId);
    if (known !== undefined) return known;
    const cursors = new CursorSet();
    const kept = this.#known.journal.cursors(userId);
    if (kept) cursors.assign(kept);
    this.#known.cursors.set(userId, cursors);
    return cursors;
  }

  /** A user's mailbox was changed. */
  filled(userId: string): void {
    this.#filled.add(userId);
  }

  /** A user's cursors were. */
  advanced(userId: string): void {
    this.#advanced.add(userId);
  }

  /** A new mailbox. */
  create(userId: string, mailbox: Mailbox): void {
    this.#known.mailboxes.set(userId, mailbox);
    this.totals.mailboxes++;
    this.filled(userId);
  }

  /** A message that comes next in a mailbox. */
  append(userId: string, mailbox: Mailbox, entry: Entry): void {
    const change = this.#change(userId);
    if (change.entries === undefined) change.entries = [entry];
    else change.entries.push(entry);
    if (mailbox.count === 0) mailbox.first = entry.offset;
    mailbox.head = entry.offset;
    mailbox.headAt = entry.at;
    mailbox.count++;
    mailbox.bytes += entry.bytes;
    this.totals.bytes += entry.bytes;
    this.filled(userId);
  }

  /** A message that is over counts no longer, wherever it lies. */
  forget(userId: string, { offset, bytes }: Entry): void {
    const mailbox = this.mailbox(userId);
    if (!mailbox || offset < mailbox.first) return;
    if (mailbox.first === offset) mailbox.first++;
    mailbox.count--;
    mailbox.bytes -= bytes;
    this.totals.bytes -= bytes;
    this.filled(userId);
  }

  /** A key that is not known. */
  addKey(userId: string, hash: string, key: StoredKey): void {
    this.#setKey(userId, hash, key);
    this.totals.keys++;
  }

  /** A key that is known. */
  removeKey(userId: string, hash: string): void {
    this.#setKey(userId, hash, undefined);
    this.totals.keys--;
  }

  #setKey(userId: string, hash: string, key: StoredKey | undefined): void {
    const change = this.#change(userId);
    change.keys ??= new Map();
    change.keys.set(hash, key);
  }

  /** Everything of a user. */
  purge(userId: string, mailbox: Mailbox): void {
    this.totals.mailboxes--;
    this.totals.bytes -= mailbox.bytes;
    this.totals.keys -= this.#hashes(userId).size;
    this.#changes.set(userId, changeOf(true));
    this.#filled.delete(userId);
    this.#advanced.delete(userId);
    this.#known.cursors.set(userId, new CursorSet());
    this.#known.mailboxes.set(userId, undefined);
  }

  /** Whether the user was purged in this transaction. */
  isPurged(userId: string): boolean {
    return this.#changes.get(userId)?.isPurged === true;
  }

  /** Whether what the tables have of a user is void. */
  isVoid(userId: string): boolean {
    return this.isPurged(userId) || (this.#known.journal.part(userId)?.isPurged === true && !this.moved.has(userId));
  }

  /** A key, also one that is over. */
  key(userId: string, hash: string): StoredKey | undefined {
    const change = this.#changes.get(userId);
    if (change?.keys?.has(hash)) return change.keys.get(hash);
    return change?.isPurged ? undefined : this.#known.journal.key(userId, hash);
  }

  /** The messages of a user from an offset on, in order. */
  *entriesFrom(userId: string, offset: number): Iterable<Entry> {
    const change = this.#changes.get(userId);
    if (!change?.isPurged) yield* this.#known.journal.entriesFrom(userId, offset, this.moved.get(userId));
    for (const entry of change?.entries ?? []) if (entry.offset >= offset) yield entry;
  }

  /** When the message at an offset was accepted, where it is kept. */
  atOf(userId: string, offset: number): number | undefined {
    for (const entry of this.entriesFrom(userId, offset)) return entry.offset === offset ? entry.at : undefined;
    return undefined;
  }

  /** The keys of a user that count. */
  #hashes(userId: string): ReadonlySet<string> {
    const hashes = new Set<string>();
    if (!this.isVoid(userId)) {
      for (const [[, hash]] of this.#known.tables.keys.range([userId, ""], [userId, "\uffff"])) hashes.add(hash);
    }
    const part = this.isPurged(userId) ? undefined : this.#known.journal.part(userId);
    for (const known of [part, this.#changes.get(userId)]) {
      for (const [hash, key] of known?.keys ?? []) {
        if (key === undefined) hashes.delete(hash);
        else hashes.add(hash);
      }
    }
    return hashes;
  }

  #change(userId: string): Change {
    let change = this.#changes.get(userId);
    if (change === undefined) {
      change = changeOf(false);
      this.#changes.set(userId, change);
    }
    return change;
  }
}

const changeOf = (isPurged: boolean): Change => ({
  isPurged,
  mailbox: undefined,
  cursors: undefined,
  entries: undefined,
  keys: undefined,
});
