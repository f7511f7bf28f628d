import type { Position, UsercastError } from "@usercast/protocol";

/**
 * The ports of the server: what the delivery core needs from the world, in words with MUST and MUST NOT.
 * `testing/contract.ts` holds every broker to them.
 *
 * Words: a *mailbox* is the ordered log of one user's messages; an *offset* is a place in it (1, 2, 3, …); an *epoch* is
 * a random id of the mailbox's life; the *head* is its newest place; a *cursor* is the highest offset up to which a
 * device has confirmed everything.
 */

/** Text and binary parts of a message, encoded once when it is accepted. */
export interface Encoded {
  /** The JSON of event and data without its brackets: `"message",{"text":"hi"}`. Binary parts are Socket.IO placeholders. */
  readonly text: string;
  /** The binary parts, in the order of their placeholders. */
  readonly attachments?: readonly Uint8Array[];
  /** Bytes of text and attachments: what limits count. */
  readonly bytes: number;
}

/** An idempotency key and what it stands for. */
export interface SendKey {
  /** What the sender wrote. */
  readonly key: string;
  /** A digest of the content, by which a repetition is told from a misuse. */
  readonly digest: string;
}

/** A message on its way into a mailbox. */
export interface Draft extends Encoded {
  /** Ours, unique per publish: a retry whose first reply was lost MUST NOT append twice. */
  readonly id: string;
  readonly userId: string;
  /** The user who sends it; absent when the back end does. Part of the scope of `key`. */
  readonly from?: string;
  /** Milliseconds from acceptance until it expires; never above the broker's retention. */
  readonly ttlMs: number;
  readonly key?: SendKey;
}

/** A message in a mailbox. */
export interface Entry extends Encoded {
  readonly offset: number;
  /** When it was accepted, in milliseconds since 1970 by the broker's clock; strictly increasing within a mailbox. */
  readonly at: number;
  readonly expiresAt: number;
  readonly from?: string;
  readonly key?: string;
}

/** What became of one draft. `duplicate` gives the place the key's first use got. */
export type PublishResult =
  | ({ readonly state: "accepted" | "duplicate" } & Position)
  | { readonly state: "failed"; readonly error: UsercastError };

/** A message that is delivered to whoever is connected now, and never stored. */
export interface Signal extends Encoded {
  readonly from?: string;
}

/** A stretch of a mailbox. */
export interface Page {
  readonly epoch: string;
  /** The newest place at the time of the read; offset 0 and time 0 for a mailbox that never had a message. */
  readonly head: Position;
  /** Retained and unexpired entries in order of offset. */
  readonly entries: readonly Entry[];
  /**
   * The offset up to which this page is complete: the last entry's, or the head's when there is nothing after it.
   * Offsets between the read's `after` and `through` without an entry are holes.
   */
  readonly through: number;
  /** The highest offset that retention by count or bytes has removed; a hole above it comes from expiry. */
  readonly trimmed: number;
}

/** How far a device or a user has come. */
export interface Cursors {
  readonly delivered: number;
  readonly read: number;
}

/** Where a mailbox stands, and one of its devices. */
export interface MailboxState {
  readonly epoch: string;
  readonly head: Position;
  /** This device's cursors in today's epoch; absent for a device never seen or forgotten. */
  readonly device?: Cursors;
  /** The furthest any device of the user has come; MUST NOT fall when devices are forgotten. */
  readonly user: Cursors;
}

/** Told of what happens to one user's mailbox. Calls MUST be made in order of offset and MUST NOT throw. */
export interface MailboxListener {
  /** A durable entry. Hints may be lost: a listener finds gaps by offset and reads them back. */
  entry(entry: Entry, epoch: string): void;
  signal(signal: Signal): void;
  /** A device's cursor moved. */
  cursors(device: string, cursors: Cursors): void;
  /** Something may have been missed, or the mailbox began a new life: read again from the log. */
  interrupted(): void;
}

/** Ends a subscription. Safe to call twice. */
export type Unsubscribe = () => Promise<void>;

/**
 * Mailboxes, cursors and fan-out. Storing a message, giving it its offset and telling listeners is one operation of
 * one port, because splitting it would leave the atomic step without an owner.
 */
export interface Broker {
  /** For messages to people: `"memory"`, `"lmdb"`. */
  readonly name: string;
  /** Whether several processes may share one store. */
  readonly scope: "process" | "cluster";

  /**
   * Appends drafts, in order. There is one result per draft, at its index, and one draft's failure MUST NOT fail another.
   * MUST resolve only when the accepted ones are as durable as the broker can make them, and MUST NOT let anyone read
   * an entry, hear of it or be answered `duplicate` before. Offsets are consecutive; one given to an entry that anyone
   * could read MUST NOT be given again within the epoch. Rejects only when nothing at all was accepted.
   */
  publish(drafts: readonly Draft[]): Promise<readonly PublishResult[]>;

  /** Tells the user's listeners; stores nothing, promises nothing. */
  signal(userId: string, signal: Signal): void;

  /** Entries after `after`, at most `limit` of them (at least one where there is one), and about a mebibyte at most. MUST write nothing. */
  read(userId: string, after: number, limit: number): Promise<Page>;

  /**
   * Moves a device's cursors forward and the user's furthest with them. MUST ignore what goes backwards, cap what goes
   * past the head, and do nothing when `epoch` is not the mailbox's. The number of devices per user is bounded: the
   * least recently moved is forgotten.
   */
  advance(userId: string, device: string, epoch: string, cursors: Partial<Cursors>): Promise<void>;

  /** MUST write nothing; a user without messages gets an epoch that stays the same while the process lives. */
  position(userId: string, device: string): Promise<MailboxState>;

  /** After the promise resolves, every entry that is not in a later read MUST reach the listener. */
  subscribe(userId: string, listener: MailboxListener): Promise<Unsubscribe>;

  /** Forgets the mailbox, its cursors and its keys. The next message begins a new epoch; listeners are interrupted. */
  purge(userId: string): Promise<void>;

  /** Waits for writes in flight; later calls reject with `SERVER_CLOSED`. Safe to call twice. */
  close(): Promise<void>;
}

/** Ends a timer. */
export type CancelTimer = () => void;

/** Time, so that tests can own it. */
export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
  /** Runs `task` once after `ms` milliseconds. MUST NOT keep the process alive. */
  after(ms: number, task: () => void): CancelTimer;
}
