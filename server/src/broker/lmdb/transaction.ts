import { createHash } from "node:crypto";
import type { CursorsMoved, DeviceMove, Draft, Entry, PublishResult, SendKey } from "../../ports.ts";
import type { Epochs, Renewed } from "../epoch.ts";
import type { RecentPublishes } from "../recent.ts";
import { entryOf, failed, keyScope } from "../results.ts";
import type { Retention } from "../retention.ts";
import { isOfThisLog } from "../witness.ts";
import { Batch, type Known } from "./batch.ts";
import { checkpoint, removeEnded } from "./checkpoint.ts";
import type { Journal, Part } from "./journal.ts";
import type { Expiry, Mailbox } from "./rows.ts";
import type { Tables } from "./tables.ts";

/** Expired things a transaction may remove for every draft in it: publishing pays for what it leaves behind. */
const EXPIRED_PER_DRAFT = 4;
/** Expired things a transaction may remove for a draft that finds the store full. */
const EXPIRED_WHEN_FULL = 1_000;

/** What a transaction moves to the tables while the journal is full: more than it adds, so that there is an end to it. */
const MOVED_AT_LEAST = 64;
const MOVED_PER_ENTRY = 2;

/** LMDB takes keys of 1,978 bytes; the rest is for what stands beside the user in them. */
const MAX_USER_BYTES = 1_900;

/** What a broker brings to its transactions. */
export interface Store extends Known {
  /** Bytes the journal may hold before its content is moved. */
  readonly maxJournalBytes: number;
  readonly retention: Retention;
  readonly epochs: Epochs;
  readonly recent: RecentPublishes;
}

/** What became of a draft, and the entry it made. */
export interface Published {
  readonly result: PublishResult;
  /** An earlier transaction's. */
  readonly isKnown: boolean;
  readonly entry?: Entry;
}

/** Everything between two flushes. It relies on being undone as a whole when any part of it throws. */
export class Transaction {
  readonly #store: Store;
  readonly #tables: Tables;
  readonly #journal: Journal;
  readonly #retention: Retention;
  readonly #now: number;
  readonly #batch: Batch;
  #appended = 0;
  #nothingExpired = false;
  #hasReclaimed = false;

  constructor(store: Store, now: number) {
    this.#store = store;
    this.#tables = store.tables;
    this.#journal = store.journal;
    this.#retention = store.retention;
    this.#now = now;
    this.#batch = new Batch(store);
  }

  /** Comes last. Returns what is to be called when it is on disk, if anything. */
  finish(): (() => void) | undefined {
    const done = this.#makeRoom();
    const step = this.#batch.step();
    if (step === undefined) return undefined;
    this.#tables.totals.put("totals", this.#batch.totals);
    return this.#journal.write(step, done);
  }

  /** What comes of it is remembered at once; when the transaction fails, it is to be forgotten again. */
  publish(draft: Draft): Published {
    const { recent } = this.#store;
    const known = recent.get(draft.id);
    if (known) return { result: known, isKnown: true };
    const published = this.#publishOnce(draft);
    recent.remember(draft.id, published.result);
    return published;
  }

  /** Moves a device's cursors; returns the move, or nothing when nothing changed. */
  advance({ userId, device, epoch, move }: DeviceMove): CursorsMoved | undefined {
    const mailbox = this.#batch.mailbox(userId);
    if (mailbox?.epoch !== epoch) return undefined;
    const head = { epoch, offset: mailbox.head, at: mailbox.headAt };
    if (!isOfThisLog(move, head, (offset) => this.#batch.atOf(userId, offset))) return undefined;
    const cursors = this.#batch.cursors(userId);
    // What moves nothing is not written: repetitions never reach the disk.
    const moved = cursors.advance(device, move, { head: mailbox.head, now: this.#now }, this.#retention);
    if (moved === undefined) return undefined;
    this.#batch.advanced(userId);
    return { ...moved, epoch };
  }

  /** Forgets a user; returns whose epochs that changed. */
  purge(userId: string): Renewed {
    const mailbox = this.#batch.mailbox(userId);
    if (!mailbox) return "nobody";
    this.#batch.purge(userId, mailbox);
    return this.#store.epochs.renew(userId);
  }

  /** Removes at most `limit` things whose time is over, of those that the journal has and of all others; returns how many, or more. */
  sweep(limit: number): number {
    let moved = 0;
    for (const [userId, part] of this.#journal.parts) {
      if (moved >= limit) break;
      if (part.endsAt <= this.#now) moved += this.#move(userId, part, limit - moved);
    }
    return moved + this.#expire(limit);
  }

  /** Removes at most `limit` things from the tables whose time is over; returns how many. */
  #expire(limit: number): number {
    if (this.#nothingExpired) return 0;
    const due: (readonly [Expiry, number])[] = [];
    for (const row of this.#tables.expiries.range([0, "", 0], [this.#now + 1, "", 0])) {
      if (due.push(row) >= limit) break;
    }
    let removed = 0;
    for (const [place, last] of due) {
      if (removed >= limit) break;
      removed += this.#end(place, last, limit - removed);
    }
    this.#nothingExpired = due.length < limit && removed < limit;
    return removed;
  }

  #end([expiresAt, userId, place]: Expiry, last: number, limit: number): number {
    this.#tables.expiries.remove([expiresAt, userId, place]);
    if (typeof place === "string") {
      const key = this.#batch.key(userId, place);
      if (key && key.expiresAt <= this.#now) this.#batch.removeKey(userId, place);
      return 1;
    }
    // What was purged is removed with everything else of the user.
    if (this.#batch.isVoid(userId)) return 1;
    let removed = 0;
    removeEnded(this.#tables, userId, { first: place, last, now: this.#now, limit }, (entry) => {
      this.#batch.forget(userId, entry);
      removed += 1;
    });
    return Math.max(1, removed);
  }

  /** Moves what the journal has of a user, or some of it; returns how much that was. */
  #move(userId: string, part: Part, limit: number): number {
    // What it is about to forget need not be moved first; and what is on its way already is moved once.
    if (this.#batch.moved.has(userId) || this.#batch.isPurged(userId)) return 0;
    const first = this.#batch.mailbox(userId)?.first ?? Number.MAX_SAFE_INTEGER;
    const isKept = (entry: Entry): boolean => {
      if (entry.offset >= first && entry.expiresAt > this.#now) return true;
      this.#batch.forget(userId, entry);
      return false;
    };
    const moved = checkpoint(this.#tables, userId, part, { limit, isKept });
    this.#batch.moved.set(userId, moved);
    return 1 + (part.keys?.size ?? 0) + Math.min(limit, part.log.size);
  }

  /** While the journal is full: moves those who are due; returns how many of them as a whole. */
  #makeRoom(): number {
    let left = MOVED_AT_LEAST + MOVED_PER_ENTRY * this.#appended;
    let bytes = this.#journal.bytes;
    let done = 0;
    if (bytes <= this.#store.maxJournalBytes) return done;
    for (const userId of this.#journal.due()) {
      const part = this.#journal.part(userId);
      if (part) left -= this.#move(userId, part, left);
      // Whoever is about to be purged needs nothing of what was written before.
      const isDone = !part || this.#batch.isPurged(userId) || this.#batch.moved.get(userId)?.[1] === null;
      if (!isDone) break;
      done += 1;
      bytes -= part?.bytes ?? 0;
      if (bytes <= this.#store.maxJournalBytes || left <= 0) break;
    }
    return done;
  }

  /** Makes room in a store that is full: what has ended in the journal counts no longer, nor what has ended in the tables. */
  #reclaim(): void {
    if (!this.#hasReclaimed) for (const [userId, part] of this.#journal.parts) this.#reclaimFrom(userId, part);
    this.#hasReclaimed = true;
    this.#nothingExpired = false;
    this.#expire(EXPIRED_WHEN_FULL);
  }

  #reclaimFrom(userId: string, part: Part | undefined): void {
    if (part && part.endsAt <= this.#now) this.#move(userId, part, Number.POSITIVE_INFINITY);
  }

  #publishOnce(draft: Draft): Published {
    this.#expire(EXPIRED_PER_DRAFT);
    const hash = draft.key && hashOf(draft.from, draft.key.key);
    const repeated = draft.key && hash && this.#repeated(draft, draft.key, hash);
    if (repeated) return { result: repeated, isKnown: false };
    const refused = this.#refused(draft);
    if (refused) return { result: refused, isKnown: false };

    const mailbox = this.#batch.mailbox(draft.userId) ?? this.#create(draft.userId);
    for (const entry of this.#excess(draft)) {
      this.#batch.forget(draft.userId, entry);
      mailbox.first = entry.offset + 1;
      mailbox.trimmed = entry.offset;
    }
    const entry = this.#append(draft, mailbox);
    if (draft.key && hash) this.#addKey(draft, draft.key, hash, entry);
    if (draft.devices && "only" in draft.devices) this.#expect(draft.userId, draft.devices.only);
    return { entry, isKnown: false, result: { state: "accepted", epoch: mailbox.epoch, offset: entry.offset, at: entry.at } };
  }

  #expect(userId: string, device: string): void {
    if (this.#batch.cursors(userId).expect(device, this.#now, this.#retention)) this.#batch.advanced(userId);
  }

  #repeated(draft: Draft, key: SendKey, hash: string): PublishResult | undefined {
    const mailbox = this.#batch.mailbox(draft.userId);
    const first = mailbox && this.#batch.key(draft.userId, hash);
    if (!first) return undefined;
    if (first.expiresAt <= this.#now) {
      this.#batch.removeKey(draft.userId, hash);
      return undefined;
    }
    if (first.digest !== key.digest) return failed("IDEMPOTENCY_CONFLICT");
    return { state: "duplicate", epoch: mailbox.epoch, offset: first.offset, at: first.at };
  }

  /** Checks every limit before anything is dropped: a draft that is refused costs nobody a message. */
  #refused(draft: Draft): PublishResult | undefined {
    const { maxMailboxes, maxMailboxBytes, maxTotalBytes, maxIdempotencyKeys } = this.#retention;
    if (draft.bytes > Math.min(maxMailboxBytes, maxTotalBytes)) return failed("PAYLOAD_TOO_LARGE");
    if (draft.key) {
      if (this.#batch.totals.keys >= maxIdempotencyKeys) this.#reclaim();
      if (this.#batch.totals.keys >= maxIdempotencyKeys) return failed("IDEMPOTENCY_FULL");
    }
    if (!this.#batch.mailbox(draft.userId) && this.#batch.totals.mailboxes >= maxMailboxes) return failed("STORE_FULL");
    if (this.#isFullFor(draft)) this.#reclaimFrom(draft.userId, this.#journal.part(draft.userId));
    if (this.#retention.whenFull !== "reject" && this.#batch.totals.bytes + draft.bytes <= maxTotalBytes) return undefined;
    const lacksRoom = () => this.#retention.whenFull === "reject" && this.#excess(draft).length > 0;
    if (lacksRoom()) this.#expire(EXPIRED_WHEN_FULL);
    if (lacksRoom()) return failed("MAILBOX_FULL");
    const lacksBytes = () => {
      const bytes = this.#batch.totals.bytes + draft.bytes;
      return bytes > maxTotalBytes && bytes - this.#excess(draft).reduce((sum, entry) => sum + entry.bytes, 0) > maxTotalBytes;
    };
    if (lacksBytes()) this.#reclaim();
    return lacksBytes() ? failed("STORE_FULL") : undefined;
  }

  #isFullFor({ userId, bytes }: Draft): boolean {
    const mailbox = this.#batch.mailbox(userId);
    return mailbox !== undefined && this.#isOver(mailbox.count + 1, mailbox.bytes + bytes);
  }

  #isOver(messages: number, bytes: number): boolean {
    return messages > this.#retention.maxMailboxMessages || bytes > this.#retention.maxMailboxBytes;
  }

  /** The oldest entries that the mailbox must drop to take the draft. */
  #excess(draft: Draft): readonly Entry[] {
    const mailbox = this.#batch.mailbox(draft.userId);
    if (!mailbox || !this.#isFullFor(draft)) return [];
    let { count, bytes } = mailbox;
    const excess: Entry[] = [];
    for (const entry of this.#batch.entriesFrom(draft.userId, mailbox.first)) {
      excess.push(entry);
      count--;
      bytes -= entry.bytes;
      if (!this.#isOver(count + 1, bytes + draft.bytes)) break;
    }
    return excess;
  }

  #append(draft: Draft, mailbox: Mailbox): Entry {
    // Two messages of one millisecond still differ in time, and a clock set back repeats none.
    const at = Math.max(this.#now, mailbox.headAt + 1);
    const entry = entryOf(draft, mailbox.head + 1, at, this.#retention);
    this.#batch.append(draft.userId, mailbox, entry);
    this.#appended += 1;
    return entry;
  }

  #addKey(draft: Draft, key: SendKey, hash: string, { offset, at }: Entry): void {
    const expiresAt = this.#now + this.#retention.idempotencyMs;
    const stored = { digest: key.digest, offset, at, expiresAt, ...(key.receipts && { receipts: key.receipts }) };
    this.#batch.addKey(draft.userId, hash, stored);
  }

  #create(userId: string): Mailbox {
    // The tables would refuse it, but only when it is moved to them.
    if (Buffer.byteLength(userId) > MAX_USER_BYTES) throw new RangeError("The user's id is too long for a key of LMDB's.");
    const epoch = this.#store.epochs.of(userId);
    const mailbox = { epoch, head: 0, headAt: 0, first: 1, trimmed: 0, count: 0, bytes: 0 };
    this.#batch.create(userId, mailbox);
    return mailbox;
  }
}

/** Keys are hashed: what senders write would make the store's own keys too long. */
export const hashOf = (from: string | undefined, key: string): string =>
  createHash("sha256").update(keyScope(from, key)).digest().subarray(0, 16).toString("base64url");
