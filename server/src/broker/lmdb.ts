import { type Position, UsercastError } from "@usercast/protocol";
import { systemClock } from "../clock.ts";
import type {
  Broker,
  CancelTimer,
  Clock,
  Control,
  ControlTarget,
  CursorMove,
  DeviceMove,
  Draft,
  KeyUse,
  MailboxListener,
  MailboxState,
  Page,
  PublishResult,
  Signal,
  Unsubscribe,
} from "../ports.ts";
import { CursorSet } from "./cursors.ts";
import { Epochs } from "./epoch.ts";
import { Listeners } from "./listeners.ts";
import { type Folder, holdFolder, orFail } from "./lmdb/folder.ts";
import { Journal } from "./lmdb/journal.ts";
import { openTables, type Tables } from "./lmdb/tables.ts";
import { hashOf, type Published, type Store, Transaction } from "./lmdb/transaction.ts";
import { type Waiting, Writer } from "./lmdb/writer.ts";
import type { BrokerOptions } from "./options.ts";
import { fillPage } from "./page.ts";
import { RecentPublishes } from "./recent.ts";
import { resolveRetention } from "./retention.ts";

/** What the LMDB broker can be told. */
export interface LmdbOptions extends BrokerOptions {
  /** The data folder, made where it is missing. One process may use it at a time. */
  readonly path: string;
  /**
   * Writes that may wait for the disk; over it they fail with `OVERLOADED`.
   * @default 65_536
   */
  readonly maxPendingWrites?: number;
  /**
   * Bytes that wait in the journal, and in memory, to be moved to where they stay: the more, the less is written for each message,
   * and the longer a start takes that has to read them.
   * @default 8_388_608 (8 MiB)
   */
  readonly maxJournalBytes?: number;
}

const DEFAULT_TOTAL_BYTES = 17_179_869_184;
const DEFAULT_PENDING_WRITES = 65_536;
const DEFAULT_JOURNAL_BYTES = 8 * 1_048_576;
/** Expired things one turn of the sweep removes, and the pause before the next turn while there are more. */
const SWEPT_PER_TURN = 1_000;
const SWEEP_PAUSE_MS = 20;

/**
 * Keeps mailboxes in a folder on disk, for one process. What is accepted survives the process, however it ends.
 * @throws UsercastError `INVALID_OPTIONS`, `STORE_LOCKED`, `STORE_FORMAT` or `STORE_FAILED`
 */
export async function lmdb(options: LmdbOptions): Promise<Broker> {
  const retention = resolveRetention(options, DEFAULT_TOTAL_BYTES);
  const { path, maxPendingWrites = DEFAULT_PENDING_WRITES, maxJournalBytes = DEFAULT_JOURNAL_BYTES } = options;
  if (typeof path !== "string" || path === "") throw new UsercastError("INVALID_OPTIONS", "path must name a folder.");
  for (const [name, value] of Object.entries({ maxPendingWrites, maxJournalBytes })) {
    if (!Number.isSafeInteger(value) || value < 1) {
      throw new UsercastError("INVALID_OPTIONS", `${name} must be a positive whole number.`);
    }
  }
  const folder = holdFolder(path);
  let tables: Tables | undefined;
  try {
    tables = openTables(folder.path);
    const store: Store = {
      tables,
      journal: readJournal(folder.path, tables),
      maxJournalBytes,
      retention,
      epochs: new Epochs(options.random),
      recent: new RecentPublishes(),
      mailboxes: new Map(),
      cursors: new Map(),
    };
    return new LmdbBroker(options, folder, store, maxPendingWrites);
  } catch (error) {
    void tables?.close();
    folder.release();
    throw error;
  }
}

const readJournal = (path: string, tables: Tables): Journal =>
  orFail(`The journal in the data folder ${path} cannot be read`, () => new Journal(tables));

/** Hears what became of messages. */
interface Publisher {
  /** It is on disk. */
  published(draft: Draft, outcome: Published): void;
  /** It is not, whatever its transaction said. */
  undone(draft: Draft, outcome: Published): void;
}

/** A message on its way to disk. */
class Publication implements Waiting<Transaction> {
  readonly #draft: Draft;
  readonly #publisher: Publisher;
  readonly #settle: (result: PublishResult) => void;
  #outcome: Published | undefined;

  constructor(draft: Draft, publisher: Publisher, settle: (result: PublishResult) => void) {
    this.#draft = draft;
    this.#publisher = publisher;
    this.#settle = settle;
  }

  get bytes(): number {
    return this.#draft.bytes;
  }

  apply(transaction: Transaction): void {
    this.#outcome = transaction.publish(this.#draft);
  }

  committed(): void {
    if (this.#outcome === undefined) return;
    this.#publisher.published(this.#draft, this.#outcome);
    this.#settle(this.#outcome.result);
  }

  failed(error: UsercastError): void {
    if (this.#outcome !== undefined) this.#publisher.undone(this.#draft, this.#outcome);
    this.#settle({ state: "failed", error });
  }
}

class LmdbBroker implements Broker, Publisher {
  readonly name = "lmdb";
  readonly scope = "process";
  readonly idempotencyMs: number;
  readonly #folder: Folder;
  readonly #store: Store;
  readonly #tables: Tables;
  readonly #clock: Clock;
  readonly #listeners: Listeners;
  readonly #writer: Writer<Transaction>;
  #cancelSweep: CancelTimer;
  #closed: Promise<void> | undefined;

  constructor(options: LmdbOptions, folder: Folder, store: Store, maxPendingWrites: number) {
    const warn = options.warn ?? ((message) => console.warn(message));
    this.idempotencyMs = store.retention.idempotencyMs;
    this.#folder = folder;
    this.#store = store;
    this.#tables = store.tables;
    this.#clock = options.clock ?? systemClock;
    this.#listeners = new Listeners((error) => warn(`A mailbox listener threw: ${String(error)}`));
    this.#writer = new Writer((applyAll) => this.#transact(applyAll), maxPendingWrites);
    this.#cancelSweep = this.#clock.after(store.retention.sweepIntervalMs, () => this.#sweep());
  }

  now(): number {
    return this.#clock.now();
  }

  publish(drafts: readonly Draft[]): Promise<readonly PublishResult[]> {
    return new Promise((resolve) => {
      this.#mustBeOpen();
      const results: PublishResult[] = [];
      let left = drafts.length;
      if (left === 0) resolve(results);
      const settle = (index: number, result: PublishResult): void => {
        results[index] = result;
        left -= 1;
        if (left === 0) resolve(results);
      };
      drafts.forEach((draft, index) => {
        this.#writer.add(new Publication(draft, this, (result) => settle(index, result)));
      });
    });
  }

  published(draft: Draft, { result, entry }: Published): void {
    if (entry && result.state === "accepted") this.#listeners.tellEntry(draft.userId, entry, result.epoch);
  }

  undone(draft: Draft, { isKnown }: Published): void {
    if (!isKnown) this.#store.recent.forget(draft.id);
  }

  signal(userId: string, signal: Signal): void {
    this.#listeners.tellSignal(userId, signal);
  }

  tell(target: ControlTarget, control: Control): void {
    this.#listeners.tellControl(target, control);
  }

  async listen(node: string, listener: (control: Control) => void): Promise<Unsubscribe> {
    this.#mustBeOpen();
    return this.#listeners.addNode(node, listener);
  }

  async read(userId: string, after: number, limit: number): Promise<Page> {
    this.#mustBeOpen();
    const { head, first, trimmed } = this.#stateOf(userId);
    const candidates = this.#store.journal.entriesFrom(userId, Math.max(first, after + 1));
    return { epoch: head.epoch, head, trimmed, ...fillPage(candidates, limit, this.#clock.now(), head.offset) };
  }

  async position(userId: string): Promise<MailboxState> {
    this.#mustBeOpen();
    const { head } = this.#stateOf(userId);
    const cursors = this.#store.journal.cursors(userId) ?? new CursorSet();
    const devices = cursors.devices(this.#clock.now(), this.#store.retention);
    return { epoch: head.epoch, head, user: cursors.user, devices };
  }

  async recall(userId: string, from: string | undefined, key: string): Promise<KeyUse | undefined> {
    this.#mustBeOpen();
    const mailbox = this.#store.journal.mailbox(userId);
    const use = mailbox && this.#store.journal.key(userId, hashOf(from, key));
    if (!use || use.expiresAt <= this.#clock.now()) return undefined;
    const { offset, at, receipts } = use;
    return { position: { epoch: mailbox.epoch, offset, at }, ...(receipts && { receipts }) };
  }

  advance(userId: string, device: string, epoch: string, move: CursorMove): Promise<void> {
    return this.advanceAll([{ userId, device, epoch, move }]);
  }

  async advanceAll(moves: readonly DeviceMove[]): Promise<void> {
    this.#mustBeOpen();
    await this.#writer.write({
      bytes: 0,
      apply: (transaction) => moves.map((one) => transaction.advance(one)),
      committed: (all) => {
        for (const [index, moved] of all.entries()) {
          if (moved) this.#listeners.tellCursors(moves[index]?.userId ?? "", moved);
        }
      },
    });
  }

  async subscribe(userId: string, listener: MailboxListener): Promise<Unsubscribe> {
    this.#mustBeOpen();
    return this.#listeners.add(userId, listener);
  }

  async purge(userId: string): Promise<void> {
    this.#mustBeOpen();
    await this.#writer.write({
      bytes: 0,
      apply: (transaction) => transaction.purge(userId),
      committed: (changed) => this.#listeners.interrupt(changed, userId),
    });
  }

  async close(): Promise<void> {
    this.#closed ??= this.#close();
    await this.#closed;
  }

  async #close(): Promise<void> {
    this.#cancelSweep();
    try {
      await this.#writer.idle();
      await this.#tables.close();
    } finally {
      this.#listeners.clear();
      this.#folder.release();
    }
  }

  #stateOf(userId: string): { readonly head: Position; readonly first: number; readonly trimmed: number } {
    const mailbox = this.#store.journal.mailbox(userId);
    if (!mailbox) return { head: { epoch: this.#store.epochs.of(userId), offset: 0, at: 0 }, first: 1, trimmed: 0 };
    const { epoch, head: offset, headAt: at, first, trimmed } = mailbox;
    return { head: { epoch, offset, at }, first, trimmed };
  }

  async #transact<T>(applyAll: (transaction: Transaction) => T): Promise<T> {
    try {
      const [result, written] = await this.#tables.transact(() => {
        const transaction = new Transaction(this.#store, this.#clock.now());
        return [applyAll(transaction), transaction.finish()] as const;
      });
      written?.();
      return result;
    } catch (error) {
      this.#store.mailboxes.clear();
      this.#store.cursors.clear();
      throw error;
    }
  }

  async #sweep(): Promise<void> {
    const write = { bytes: 0, apply: (transaction: Transaction) => transaction.sweep(SWEPT_PER_TURN), committed: () => {} };
    // A sweep that fails is tried again at its time; senders are told of the disk themselves.
    const swept = await this.#writer.write(write).catch(() => 0);
    if (this.#closed) return;
    const pauseMs = swept < SWEPT_PER_TURN ? this.#store.retention.sweepIntervalMs : SWEEP_PAUSE_MS;
    this.#cancelSweep = this.#clock.after(pauseMs, () => this.#sweep());
  }

  #mustBeOpen(): void {
    if (this.#closed) throw new UsercastError("SERVER_CLOSED");
  }
}
