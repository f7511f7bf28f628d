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
import { Keys } from "./memory/keys.ts";
import { Mailbox } from "./memory/mailbox.ts";
import type { BrokerOptions } from "./options.ts";
import { fillPage } from "./page.ts";
import { RecentPublishes } from "./recent.ts";
import { failed } from "./results.ts";
import { type Retention, resolveRetention } from "./retention.ts";
import { isOfThisLog } from "./witness.ts";

/** What the memory broker can be told. */
export interface MemoryOptions extends BrokerOptions {
  /**
   * Whether to keep silent about what memory does not promise.
   * @default false
   */
  readonly quiet?: boolean;
}

const DEFAULT_TOTAL_BYTES = 1_073_741_824;
/** Publishes whose outcome is remembered. Each is answered before anything else happens, so that nobody retries an older one. */
const RECENT = 1_024;
/** Mailboxes one turn of the sweep looks at, so that it never holds up messages; more in a large store, to get round. */
const SWEPT_PER_TURN = 256;
const TURNS_PER_ROUND = 360;

const WARNING =
  "Usercast keeps messages in the memory of this process: they survive a lost connection, but not a restart or a crash. " +
  'Use the broker of "@usercast/server/lmdb" to keep them on disk, or memory({ quiet: true }) to say that this is meant.';

/**
 * Keeps mailboxes in the memory of this process: the library's default, and the specification of the port in code.
 * What is accepted is kept for the life of the process; a new process begins new epochs.
 * @throws UsercastError `INVALID_OPTIONS`
 */
export function memory(options: MemoryOptions = {}): Broker {
  return new MemoryBroker(options);
}

class MemoryBroker implements Broker {
  readonly name = "memory";
  readonly scope = "process";
  readonly idempotencyMs: number;
  readonly #retention: Retention;
  readonly #clock: Clock;
  readonly #warn: (message: string) => void;
  readonly #epochs: Epochs;
  readonly #listeners: Listeners;
  readonly #keys: Keys;
  readonly #recent = new RecentPublishes(RECENT);
  readonly #mailboxes = new Map<string, Mailbox>();
  #totalBytes = 0;
  #warned: boolean;
  #sweep: Iterator<Mailbox> | undefined;
  #cancelSweep: CancelTimer;
  #closed = false;

  constructor(options: MemoryOptions) {
    this.#retention = resolveRetention(options, DEFAULT_TOTAL_BYTES);
    this.idempotencyMs = this.#retention.idempotencyMs;
    this.#clock = options.clock ?? systemClock;
    this.#warn = options.warn ?? ((message) => console.warn(message));
    this.#warned = options.quiet ?? false;
    this.#epochs = new Epochs(options.random);
    this.#listeners = new Listeners((error) => this.#warn(`A mailbox listener threw: ${String(error)}`));
    this.#keys = new Keys(this.#retention);
    this.#cancelSweep = this.#clock.after(this.#retention.sweepIntervalMs, () => this.#sweepOn());
  }

  now(): number {
    return this.#clock.now();
  }

  async publish(drafts: readonly Draft[]): Promise<readonly PublishResult[]> {
    this.#mustBeOpen();
    if (!this.#warned) {
      this.#warned = true;
      this.#warn(WARNING);
    }
    return drafts.map((draft) => this.#recent.get(draft.id) ?? this.#publishFirst(draft));
  }

  #publishFirst(draft: Draft): PublishResult {
    const result = this.#publishOne(draft);
    this.#recent.remember(draft.id, result);
    return result;
  }

  #publishOne(draft: Draft): PublishResult {
    const now = this.#clock.now();
    const first = draft.key && this.#keys.find(draft.userId, draft.from, draft.key.key, now);
    if (first) {
      if (first.digest !== draft.key?.digest) return failed("IDEMPOTENCY_CONFLICT");
      return { state: "duplicate", ...first.position };
    }
    const error = this.#makeRoom(draft, now);
    if (error) return error;

    const mailbox = this.#mailboxes.get(draft.userId) ?? this.#create(draft.userId);
    const before = mailbox.bytes;
    const entry = mailbox.append(draft, now);
    this.#totalBytes += mailbox.bytes - before;
    if (draft.devices && "only" in draft.devices) mailbox.cursors.expect(draft.devices.only, now, this.#retention);
    const { head } = mailbox; // before anybody is told, who may publish the next one at once
    if (draft.key) this.#keys.add(draft, draft.key, head, now);
    this.#listeners.tellEntry(draft.userId, entry, head.epoch);
    return { state: "accepted", epoch: head.epoch, offset: head.offset, at: head.at };
  }

  #create(userId: string): Mailbox {
    const mailbox = new Mailbox(this.#epochs.of(userId), this.#retention);
    this.#mailboxes.set(userId, mailbox);
    return mailbox;
  }

  /** Checks every limit before anything is changed: a draft that is refused costs nobody a message. */
  #makeRoom(draft: Draft, now: number): PublishResult | undefined {
    const { maxMailboxes, maxMailboxBytes, maxTotalBytes } = this.#retention;
    if (draft.bytes > Math.min(maxMailboxBytes, maxTotalBytes)) return failed("PAYLOAD_TOO_LARGE");
    if (draft.key) {
      this.#keys.clean(now);
      if (this.#keys.isFull) return failed("IDEMPOTENCY_FULL");
    }
    const mailbox = this.#mailboxes.get(draft.userId);
    if (mailbox) this.#counted(mailbox, () => mailbox.makeRoom(draft.bytes, now));
    else if (this.#mailboxes.size >= maxMailboxes) return failed("STORE_FULL");
    if (this.#retention.whenFull === "reject" && mailbox?.isFullFor(draft.bytes)) return failed("MAILBOX_FULL");
    if (this.#totalBytes + draft.bytes <= maxTotalBytes) return undefined;
    const isFull = () => this.#totalBytes - (mailbox?.excess(draft.bytes) ?? 0) + draft.bytes > maxTotalBytes;
    if (isFull()) this.#sweepSome(now);
    return isFull() ? failed("STORE_FULL") : undefined;
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
    const mailbox = this.#mailboxes.get(userId);
    if (!mailbox) {
      const { head } = this.#nothingOf(userId);
      return { epoch: head.epoch, head, entries: [], through: 0, trimmed: 0 };
    }
    const { head, trimmed } = mailbox;
    const page = fillPage(mailbox.after(after), limit, this.#clock.now(), head.offset);
    return { epoch: head.epoch, head, trimmed, ...page };
  }

  advance(userId: string, device: string, epoch: string, move: CursorMove): Promise<void> {
    return this.advanceAll([{ userId, device, epoch, move }]);
  }

  async advanceAll(moves: readonly DeviceMove[]): Promise<void> {
    this.#mustBeOpen();
    for (const one of moves) this.#advance(one);
  }

  #advance({ userId, device, epoch, move }: DeviceMove): void {
    const mailbox = this.#mailboxes.get(userId);
    if (mailbox?.head.epoch !== epoch || !isOfThisLog(move, mailbox.head, (offset) => mailbox.atOf(offset))) return;
    const place = { head: mailbox.head.offset, now: this.#clock.now() };
    const moved = mailbox.cursors.advance(device, move, place, this.#retention);
    if (moved) this.#listeners.tellCursors(userId, { ...moved, epoch });
  }

  async position(userId: string): Promise<MailboxState> {
    this.#mustBeOpen();
    const { head, cursors } = this.#mailboxes.get(userId) ?? this.#nothingOf(userId);
    return { epoch: head.epoch, head, user: cursors.user, devices: cursors.devices(this.#clock.now(), this.#retention) };
  }

  async recall(userId: string, from: string | undefined, key: string): Promise<KeyUse | undefined> {
    this.#mustBeOpen();
    const use = this.#keys.find(userId, from, key, this.#clock.now());
    return use && { position: use.position, ...(use.receipts && { receipts: use.receipts }) };
  }

  async subscribe(userId: string, listener: MailboxListener): Promise<Unsubscribe> {
    this.#mustBeOpen();
    return this.#listeners.add(userId, listener);
  }

  async purge(userId: string): Promise<void> {
    this.#mustBeOpen();
    const mailbox = this.#mailboxes.get(userId);
    if (!mailbox) return;
    this.#totalBytes -= mailbox.bytes;
    this.#mailboxes.delete(userId);
    this.#keys.purge(userId);
    this.#listeners.interrupt(this.#epochs.renew(userId), userId);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#cancelSweep();
    this.#listeners.clear();
  }

  #sweepOn(): void {
    this.#sweepSome(this.#clock.now());
    this.#cancelSweep = this.#clock.after(this.#retention.sweepIntervalMs, () => this.#sweepOn());
  }

  /** Cleans the next few mailboxes. An emptied one stays: its epoch and head must outlive the cursors that name them. */
  #sweepSome(now: number): void {
    this.#keys.clean(now);
    this.#sweep ??= this.#mailboxes.values();
    const turn = Math.max(SWEPT_PER_TURN, Math.ceil(this.#mailboxes.size / TURNS_PER_ROUND));
    for (let swept = 0; swept < turn; swept++) {
      const { value: mailbox, done } = this.#sweep.next();
      if (done) {
        this.#sweep = undefined;
        return;
      }
      this.#counted(mailbox, () => mailbox.clean(now));
    }
  }

  /** Does something to a mailbox and keeps the store's total right. */
  #counted<T>(mailbox: Mailbox, change: () => T): T {
    const before = mailbox.bytes;
    const result = change();
    this.#totalBytes += mailbox.bytes - before;
    return result;
  }

  /** What is known of a user without a mailbox. */
  #nothingOf(userId: string): { readonly head: Position; readonly cursors: CursorSet } {
    return { head: { epoch: this.#epochs.of(userId), offset: 0, at: 0 }, cursors: new CursorSet() };
  }

  #mustBeOpen(): void {
    if (this.#closed) throw new UsercastError("SERVER_CLOSED");
  }
}
