import { createHash } from "node:crypto";
import type { CursorsMoved, DeviceMove, Draft, Entry, PublishResult, SendKey } from "../../ports.ts";
import { CursorSet } from "../cursors.ts";
import type { Epochs, Renewed } from "../epoch.ts";
import type { RecentPublishes } from "../recent.ts";
import { entryOf, failed, keyScope } from "../results.ts";
import type { Retention } from "../retention.ts";
import { isOfThisLog } from "../witness.ts";
import { type Expiry, entriesFrom, type Mailbox, type Tables, type Totals } from "./tables.ts";

/** Expired things a transaction may remove for every draft in it: publishing pays for what it leaves behind. */
const EXPIRED_PER_DRAFT = 4;
/** Expired things a transaction may remove for a draft that finds the store full. */
const EXPIRED_WHEN_FULL = 1_000;

/** Users whose mailboxes and cursors transactions remember, so that they need not read them again. */
const REMEMBERED_USERS = 16_384;

/** What a broker brings to its transactions. */
export interface Store {
  readonly tables: Tables;
  readonly retention: Retention;
  readonly epochs: Epochs;
  readonly recent: RecentPublishes;
  /** As the last transaction left them, for the next; to be forgotten when one fails. Nobody else may look here: it may not be on disk yet. */
  readonly mailboxes: Map<string, Mailbox | undefined>;
  /** The same of how far users have come. */
  readonly cursors: Map<string, CursorSet>;
}

/** What became of a draft, and the entry it made. */
export interface Published {
  readonly result: PublishResult;
  readonly entry?: Entry;
}

/** Everything between two flushes. It relies on being undone as a whole when any part of it throws. */
export class Transaction {
  readonly #store: Store;
  readonly #tables: Tables;
  readonly #retention: Retention;
  readonly #now: number;
  readonly #totals: Totals;
  readonly #results = new Map<string, PublishResult>();
  readonly #mailboxes: Map<string, Mailbox | undefined>;
  readonly #changed = new Set<string>();
  #nothingExpired = false;

  constructor(store: Store, now: number) {
    this.#store = store;
    this.#tables = store.tables;
    this.#retention = store.retention;
    this.#now = now;
    if (store.mailboxes.size > REMEMBERED_USERS) store.mailboxes.clear();
    if (store.cursors.size > REMEMBERED_USERS) store.cursors.clear();
    this.#mailboxes = store.mailboxes;
    this.#totals = store.tables.totals.get("totals") ?? { mailboxes: 0, bytes: 0, keys: 0 };
  }

  /** Comes last: mailboxes are written once, however many messages of the batch they got. */
  finish(): void {
    for (const userId of this.#changed) {
      const mailbox = this.#mailbox(userId);
      if (mailbox) this.#tables.mailboxes.put(userId, mailbox);
      else this.#tables.mailboxes.remove(userId);
    }
    if (this.#changed.size > 0) this.#tables.totals.put("totals", this.#totals);
  }

  publish(draft: Draft): Published {
    const known = this.#store.recent.get(draft.id) ?? this.#results.get(draft.id);
    if (known) return { result: known };
    const published = this.#publishOnce(draft);
    if (published.result.state !== "failed") this.#results.set(draft.id, published.result);
    return published;
  }

  /** Moves a device's cursors; returns the move, or nothing when nothing changed. */
  advance({ userId, device, epoch, move }: DeviceMove): CursorsMoved | undefined {
    const mailbox = this.#mailbox(userId);
    if (mailbox?.epoch !== epoch) return undefined;
    const head = { epoch, offset: mailbox.head, at: mailbox.headAt };
    if (!isOfThisLog(move, head, (offset) => this.#tables.entries.get([userId, offset])?.at)) return undefined;
    const cursors = this.#cursors(userId);
    // What moves nothing is not written: repetitions never reach the disk.
    const moved = cursors.advance(device, move, { head: mailbox.head, now: this.#now }, this.#retention);
    if (moved === undefined) return undefined;
    this.#tables.cursors.put(userId, cursors);
    return { ...moved, epoch };
  }

  /** Forgets a user; returns whose epochs that changed. */
  purge(userId: string): Renewed {
    const mailbox = this.#mailbox(userId);
    if (!mailbox) return "nobody";
    for (const entry of [...entriesFrom(this.#tables, userId, mailbox.first)]) this.#remove(userId, mailbox, entry);
    for (const [[, hash], { expiresAt }] of [...this.#tables.keys.range([userId, ""], [userId, "\uffff"])]) {
      this.#removeKey(userId, hash, expiresAt);
    }
    this.#tables.cursors.remove(userId);
    this.#store.cursors.delete(userId);
    this.#mailboxes.set(userId, undefined);
    this.#changed.add(userId);
    this.#totals.mailboxes--;
    return this.#store.epochs.renew(userId);
  }

  /** Removes at most `limit` things whose time is over; returns how many. */
  expire(limit: number): number {
    if (this.#nothingExpired) return 0;
    const due: (readonly [Expiry, number])[] = [];
    for (const row of this.#tables.expiries.range([0, "", 0], [this.#now + 1, "", 0])) {
      if (due.push(row) >= limit) break;
    }
    for (const [[expiresAt, userId, place], bytes] of due) {
      const mailbox = this.#mailbox(userId);
      if (typeof place === "string") this.#removeKey(userId, place, expiresAt);
      else if (mailbox) this.#remove(userId, mailbox, { offset: place, expiresAt, bytes });
    }
    this.#nothingExpired = due.length < limit;
    return due.length;
  }

  #publishOnce(draft: Draft): Published {
    this.expire(EXPIRED_PER_DRAFT);
    const repeated = draft.key && this.#repeated(draft, draft.key);
    if (repeated) return { result: repeated };
    const refused = this.#refused(draft);
    if (refused) return { result: refused };

    const mailbox = this.#mailbox(draft.userId) ?? this.#create(draft.userId);
    for (const entry of this.#excess(draft)) {
      this.#remove(draft.userId, mailbox, entry);
      mailbox.trimmed = entry.offset;
    }
    const entry = this.#append(draft, mailbox);
    if (draft.key) this.#addKey(draft, draft.key, entry);
    if (draft.devices && "only" in draft.devices) this.#expect(draft.userId, draft.devices.only);
    return { entry, result: { state: "accepted", epoch: mailbox.epoch, offset: entry.offset, at: entry.at } };
  }

  #expect(userId: string, device: string): void {
    const cursors = this.#cursors(userId);
    if (cursors.expect(device, this.#now, this.#retention)) this.#tables.cursors.put(userId, cursors);
  }

  #repeated(draft: Draft, key: SendKey): PublishResult | undefined {
    const mailbox = this.#mailbox(draft.userId);
    const hash = hashOf(draft.from, key.key);
    const first = mailbox && this.#tables.keys.get([draft.userId, hash]);
    if (!first) return undefined;
    if (first.expiresAt <= this.#now) {
      this.#removeKey(draft.userId, hash, first.expiresAt);
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
      if (this.#totals.keys >= maxIdempotencyKeys) this.expire(EXPIRED_WHEN_FULL);
      if (this.#totals.keys >= maxIdempotencyKeys) return failed("IDEMPOTENCY_FULL");
    }
    if (!this.#mailbox(draft.userId) && this.#totals.mailboxes >= maxMailboxes) return failed("STORE_FULL");
    if (this.#retention.whenFull !== "reject" && this.#totals.bytes + draft.bytes <= maxTotalBytes) return undefined;
    const lacksRoom = () => this.#retention.whenFull === "reject" && this.#excess(draft).length > 0;
    if (lacksRoom()) this.expire(EXPIRED_WHEN_FULL);
    if (lacksRoom()) return failed("MAILBOX_FULL");
    const lacksBytes = () => {
      const bytes = this.#totals.bytes + draft.bytes;
      return bytes > maxTotalBytes && bytes - this.#excess(draft).reduce((sum, entry) => sum + entry.bytes, 0) > maxTotalBytes;
    };
    if (lacksBytes()) this.expire(EXPIRED_WHEN_FULL);
    return lacksBytes() ? failed("STORE_FULL") : undefined;
  }

  /** The oldest entries that the mailbox must drop to take the draft. */
  #excess(draft: Draft): readonly Entry[] {
    const mailbox = this.#mailbox(draft.userId);
    if (!mailbox) return [];
    const { maxMailboxMessages, maxMailboxBytes } = this.#retention;
    let { count, bytes } = mailbox;
    const isOver = () => count + 1 > maxMailboxMessages || bytes + draft.bytes > maxMailboxBytes;
    if (!isOver()) return [];
    const excess: Entry[] = [];
    for (const entry of entriesFrom(this.#tables, draft.userId, mailbox.first)) {
      excess.push(entry);
      count--;
      bytes -= entry.bytes;
      if (!isOver()) break;
    }
    return excess;
  }

  #append(draft: Draft, mailbox: Mailbox): Entry {
    const { userId, bytes } = draft;
    // Two messages of one millisecond still differ in time, and a clock set back repeats none.
    const at = Math.max(this.#now, mailbox.headAt + 1);
    const entry = entryOf(draft, mailbox.head + 1, at, this.#retention);
    this.#tables.entries.put([userId, entry.offset], entry);
    this.#tables.expiries.put([entry.expiresAt, userId, entry.offset], bytes);
    if (mailbox.count === 0) mailbox.first = entry.offset;
    mailbox.head = entry.offset;
    mailbox.headAt = at;
    mailbox.count++;
    mailbox.bytes += bytes;
    this.#totals.bytes += bytes;
    this.#changed.add(userId);
    return entry;
  }

  #remove(userId: string, mailbox: Mailbox, entry: Pick<Entry, "offset" | "expiresAt" | "bytes">): void {
    this.#tables.entries.remove([userId, entry.offset]);
    this.#tables.expiries.remove([entry.expiresAt, userId, entry.offset]);
    if (mailbox.first === entry.offset) mailbox.first++;
    mailbox.count--;
    mailbox.bytes -= entry.bytes;
    this.#totals.bytes -= entry.bytes;
    this.#changed.add(userId);
  }

  #addKey(draft: Draft, key: SendKey, { offset, at }: Entry): void {
    const hash = hashOf(draft.from, key.key);
    const expiresAt = this.#now + this.#retention.idempotencyMs;
    this.#tables.keys.put([draft.userId, hash], {
      digest: key.digest,
      offset,
      at,
      expiresAt,
      ...(key.receipts && { receipts: key.receipts }),
    });
    this.#tables.expiries.put([expiresAt, draft.userId, hash], 0);
    this.#totals.keys++;
  }

  #removeKey(userId: string, hash: string, expiresAt: number): void {
    this.#tables.keys.remove([userId, hash]);
    this.#tables.expiries.remove([expiresAt, userId, hash]);
    this.#totals.keys--;
    this.#changed.add(userId);
  }

  #create(userId: string): Mailbox {
    const epoch = this.#store.epochs.of(userId);
    const mailbox = { epoch, head: 0, headAt: 0, first: 1, trimmed: 0, count: 0, bytes: 0 };
    this.#mailboxes.set(userId, mailbox);
    this.#totals.mailboxes++;
    return mailbox;
  }

  #cursors(userId: string): CursorSet {
    const known = this.#store.cursors.get(userId);
    if (known !== undefined) return known;
    const cursors = this.#tables.cursors.get(userId) ?? new CursorSet();
    this.#store.cursors.set(userId, cursors);
    return cursors;
  }

  #mailbox(userId: string): Mailbox | undefined {
    const known = this.#mailboxes.get(userId);
    if (known !== undefined || this.#mailboxes.has(userId)) return known;
    const mailbox = this.#tables.mailboxes.get(userId);
    this.#mailboxes.set(userId, mailbox);
    return mailbox;
  }
}

/** Keys are hashed: what senders write would make the store's own keys too long. */
export const hashOf = (from: string | undefined, key: string): string =>
  createHash("sha256").update(keyScope(from, key)).digest().subarray(0, 16).toString("base64url");
