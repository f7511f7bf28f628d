import type { Position, UsercastError } from "@usercast/protocol";
import type { OffsetRange } from "./ranges.ts";
import type { SharedMove, SharedPlaces } from "./sharing.ts";

/**
 * The ports of the server: what the delivery core needs from the world, in words with MUST and MUST NOT.
 * `testing/contract.ts` holds every broker to them.
 *
 * Words: a *mailbox* is the ordered log of one user's messages; an *offset* is a place in it (1, 2, 3, …); an *epoch* is
 * a random id of the mailbox's life; the *head* is its newest place; a *cursor* is the highest offset up to which a
 * device has confirmed everything.
 */

/** What is filled in field by field, before it is handed on as read-only. */
export type Mutable<T> = { -readonly [Field in keyof T]: T[Field] };

/** Text and binary parts of a message, encoded once when it is accepted. */
export interface Encoded {
  /** The JSON of event and data without its brackets: `"message",{"text":"hi"}`. Binary parts are Socket.IO placeholders. */
  readonly text: string;
  /** The binary parts, in the order of their placeholders. */
  readonly attachments?: readonly Uint8Array[];
  /** Bytes of text and attachments: what limits count. */
  readonly bytes: number;
}

/** How much a user who sends may learn of what became of a message; `"read"` includes `"delivered"`. */
export type ReceiptGrant = "delivered" | "read";

/** An idempotency key and what it stands for. */
export interface SendKey {
  /** What the sender wrote. */
  readonly key: string;
  /** A digest of the content, by which a repetition is told from a misuse. */
  readonly digest: string;
  /** What its sender may be told later, also after a restart; absent for nothing. */
  readonly receipts?: ReceiptGrant;
}

/** What a key's first use came to. */
export interface KeyUse {
  readonly position: Position;
  readonly receipts?: ReceiptGrant;
}

/** Which of a user's devices a message is for; without one, it is for all. */
export type DeviceFilter = { readonly only: string } | { readonly except: string };

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
  /** Devices it is for. The others skip it: it has its offset all the same. */
  readonly devices?: DeviceFilter;
}

/** A message in a mailbox. */
export interface Entry extends Encoded {
  readonly offset: number;
  /** When it was accepted, in milliseconds since 1970 by the broker's clock; strictly increasing within a mailbox. */
  readonly at: number;
  readonly expiresAt: number;
  readonly from?: string;
  readonly key?: string;
  readonly devices?: DeviceFilter;
}

/** What became of one draft. `duplicate` gives the place the key's first use got. */
export type PublishResult =
  | ({ readonly state: "accepted" | "duplicate" } & Position)
  | { readonly state: "failed"; readonly error: UsercastError };

/** A message that is delivered to whoever is connected now, and never stored. */
export interface Signal extends Encoded {
  readonly from?: string;
  readonly devices?: DeviceFilter;
  /** Socket ids that it is not for. */
  readonly exceptSockets?: readonly string[];
}

/** What nodes tell each other about a user's connections. It means nothing to the broker. */
export interface Control {
  /** What JSON can carry. */
  readonly head: Readonly<Record<string, unknown>>;
  /** Event and data that go with it. */
  readonly body?: Encoded;
}

/** Whom a control is for: the nodes of a user, which are those that listen to the mailbox, or one node by its id. */
export type ControlTarget = { readonly userId: string } | { readonly node: string };

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

/** One device's cursors, and when they last moved, in milliseconds since 1970 by the broker's clock. */
export interface DeviceCursors extends Cursors {
  /** 0 for a device that was sent something and never came. */
  readonly deliveredAt: number;
  readonly readAt: number;
  /** When the device was last here, as far as a day matters: by this it is forgotten. */
  readonly seenAt: number;
  /** Whether its id was made up and could not be kept: the first to be forgotten. */
  readonly transient: boolean;
  /** What its cursor waits for, where connections share the device and any of them may be the one that comes back. */
  readonly shared?: SharedPlaces;
}

/**
 * The furthest any device of a user has come, and of what lies below it what no sender may be told. Lists are bounded by
 * joining their oldest ranges: too little is told then, never too much.
 */
export interface UserCursors extends Cursors {
  /** Passed as missed and not as delivered, by every device that has passed it. */
  readonly missed: readonly OffsetRange[];
  /** Passed because it is for all devices but that one, and by none of the others. */
  readonly skipped: readonly OffsetRange[];
  /** Read while the user had read receipts switched off. */
  readonly unshown: readonly OffsetRange[];
}

/** How far a device has come since it last said so. */
export interface CursorMove extends Partial<Cursors> {
  /** A message it was given, by which a log that is gone is told from the one that came in its place. */
  readonly witness?: { readonly offset: number; readonly at: number };
  /** Where a device began that is not known yet; without it, nobody knows what of the way it was given. */
  readonly began?: number;
  /** What it was told as missed below `delivered`, in order. */
  readonly missed?: readonly OffsetRange[];
  /** What lies below `delivered` and is for all devices but this one, in order. */
  readonly skipped?: readonly OffsetRange[];
  /** Whether what was read may not be told to senders. */
  readonly unshown?: boolean;
  readonly transient?: boolean;
  /** Where the device is that of several connections. */
  readonly shared?: SharedMove;
}

/** One move among many. */
export interface DeviceMove {
  readonly userId: string;
  readonly device: string;
  readonly epoch: string;
  readonly move: CursorMove;
}

/** A device's cursors moved. */
export interface CursorsMoved {
  readonly device: string;
  readonly epoch: string;
  /** When, by the broker's clock. */
  readonly at: number;
  /** From where; for a device never seen, from where it says it began, else from where its user had come. */
  readonly from: Cursors;
  readonly to: Cursors;
  /** What of it was told as missed, and not delivered. */
  readonly missed: readonly OffsetRange[];
  /** How far the user had read before. */
  readonly userRead: number;
  /** Whether senders may not be told that more is read now. */
  readonly unshown: boolean;
}

/** Where a mailbox stands, and everybody in it. */
export interface MailboxState {
  readonly epoch: string;
  readonly head: Position;
  /** Devices in today's epoch by their ids; without those never seen or forgotten. */
  readonly devices: ReadonlyMap<string, DeviceCursors>;
  /** The furthest any device of the user has come; MUST NOT fall when devices are forgotten. */
  readonly user: UserCursors;
}

/** Told of what happens to one user's mailbox. Calls MUST be made in order of offset and MUST NOT throw. */
export interface MailboxListener {
  /** A durable entry. Hints may be lost: a listener finds gaps by offset and reads them back. */
  entry(entry: Entry, epoch: string): void;
  signal(signal: Signal): void;
  cursors(moved: CursorsMoved): void;
  /** Something was told to the nodes of the user; a node hears what it told itself, too. */
  control(control: Control): void;
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
  /** Milliseconds an idempotency key takes effect, counted from its first use. */
  readonly idempotencyMs: number;

  /** The broker's clock, by which messages expire, in milliseconds since 1970; an estimate where the store has a clock of its own. */
  now(): number;

  /**
   * Appends drafts, in order. There is one result per draft, at its index, and one draft's failure MUST NOT fail another.
   * MUST resolve only when the accepted ones are as durable as the broker can make them, and MUST NOT let anyone read
   * an entry, hear of it or be answered `duplicate` before. Offsets are consecutive; one given to an entry that anyone
   * could read MUST NOT be given again within the epoch. A device never seen that a draft is only for MUST be known from then on,
   * at the user's furthest: others pass the message before it comes. Rejects only when nothing at all was accepted.
   */
  publish(drafts: readonly Draft[]): Promise<readonly PublishResult[]>;

  /** Tells the user's listeners; stores nothing, promises nothing. */
  signal(userId: string, signal: Signal): void;

  /**
   * Tells the nodes of a user, or one node. MUST NOT store it, and promises nothing: what nobody hears now is lost, and MUST NOT be
   * told late, because by then it may be about connections that came afterwards.
   */
  tell(target: ControlTarget, control: Control): void;

  /** Hears what is told to the node of that id, from when the promise resolves. Only controls to the node MUST reach the listener. */
  listen(node: string, listener: (control: Control) => void): Promise<Unsubscribe>;

  /** Entries after `after`, at most `limit` of them (at least one where there is one), and about a mebibyte at most. MUST write nothing. */
  read(userId: string, after: number, limit: number): Promise<Page>;

  /**
   * Moves a device's cursors forward and the user's furthest with them. MUST ignore what goes backwards, cap what goes
   * past the head, and do nothing when `epoch` is not the mailbox's, or the log speaks against the move's witness. The number of devices per user is bounded: those with a
   * transient id are forgotten first, then the one last seen longest ago; so is who was not seen for long.
   *
   * Of a device that is shared MUST NOT move the cursor past any of its places: the floors of others, given up `heldMs` after one was first
   * in the way of somebody who is further, unless its holder has said something since; and debts, which are kept for `owedMs` while
   * there is a floor, and without an end while there is none. Both MUST be kept as long as the cursor, and bounded in number: the holder
   * heard of longest ago is forgotten first, and the debt that is owed least.
   */
  advance(userId: string, device: string, epoch: string, move: CursorMove): Promise<void>;

  /** The same for many at once, where that is cheaper than one by one. When it rejects, any of them may not have been made. */
  advanceAll?(moves: readonly DeviceMove[]): Promise<void>;

  /** MUST write nothing; a user without messages gets an epoch that stays the same while the process lives. */
  position(userId: string): Promise<MailboxState>;

  /** What the key came to that `from` (absent: the back end) used for a message to `userId`; nothing when it is unknown or its life is over. MUST write nothing. */
  recall(userId: string, from: string | undefined, key: string): Promise<KeyUse | undefined>;

  /** After the promise resolves, every entry that is not in a later read MUST reach the listener. */
  subscribe(userId: string, listener: MailboxListener): Promise<Unsubscribe>;

  /** Forgets the mailbox, its cursors and its keys. The next message begins a new epoch; listeners are interrupted. */
  purge(userId: string): Promise<void>;

  /** Presence of everybody who is connected to any node; a broker of scope "cluster" MUST have it. Each attachment is a node of its own. */
  openPresence?(settings: PresenceSettings): Presence;

  /**
   * Tells the listener when the store cannot be reached any more, and when it can again; until the returned function is called. MUST NOT
   * tell the same twice in a row, nor of a connection that is back within a second. For stores that are elsewhere.
   */
  onAvailability?(listener: (isAvailable: boolean) => void): () => void;

  /** Waits for writes in flight; later calls reject with `SERVER_CLOSED`. Safe to call twice. */
  close(): Promise<void>;
}

/** Who gives way when a user has as many connections as allowed: the oldest connection, or the one that comes. */
export type Takeover = "oldest" | "reject";

/** How a node takes part in presence. */
export interface PresenceSettings {
  readonly clock: Clock;
  /** Milliseconds without a renewal after which a node counts as dead. */
  readonly leaseMs: number;
  /** Milliseconds a user may be gone before `offline` is told. */
  readonly graceMs: number;
  /** Absent users whose last seen is remembered. */
  readonly maxLastSeen: number;
  /** Connections per user, on all nodes together. */
  readonly maxConnections: number;
  readonly takeover: Takeover;
  /** Told of a user's coming and, after the grace period, going: on one node, and at most once each. */
  readonly onEvent: (event: "online" | "offline", userId: string) => void;
  readonly onError: (error: unknown) => void;
}

/** A connection as presence knows it. */
export interface PresentConnection {
  readonly userId: string;
  /** Unique among the connections of the user. */
  readonly socketId: string;
  readonly device: string;
  readonly session?: string;
  /** Milliseconds since 1970, by the clock of its node. */
  readonly connectedAt: number;
}

/** A connection and the node it is at. */
export interface PlacedConnection extends PresentConnection {
  readonly node: string;
}

/** Whether a connection may stay, and which others of the user may not: they are forgotten, and are to be closed. */
export interface Attached {
  readonly accepted: boolean;
  readonly evicted: readonly string[];
}

/** What is known of a user's presence. */
export interface PresentUser {
  readonly userId: string;
  /** On nodes that are believed alive, oldest first. */
  readonly connections: readonly PlacedConnection[];
  /** When the last connection ended, in milliseconds since 1970, as long as that is remembered. */
  readonly lastSeen?: number;
}

/** Some of those who are online. */
export interface PresencePage {
  readonly users: readonly PresentUser[];
  /** Where to go on; absent at the end. */
  readonly cursor?: string;
}

/**
 * Who is connected, as seen from one node. A connection MUST cost the store something when it comes and when it goes, and nothing
 * between. What a node that is not alive any more knew MUST be forgotten within the lease, by whichever node finds it first, and MUST NOT
 * be while the store's own outage is a likelier reason for its silence.
 */
export interface Presence {
  /** What the connections of this node are placed at now; another one after the others have taken this node for dead. */
  readonly node: string;

  /**
   * A connection comes. The limit MUST hold on all nodes together; connections of dead nodes MUST NOT count, and a session that returns
   * MUST take the place of its own earlier connection before anybody else's. The same once more MUST change nothing.
   */
  attach(connection: PresentConnection): Promise<Attached>;

  /** A connection has gone, or was never accepted. MUST take effect later where the store is away now; rejects never. */
  detach(userId: string, socketId: string): Promise<void>;

  /** The users of these ids, in this order; about whom nothing is known has no connections. */
  find(userIds: readonly string[]): Promise<readonly PresentUser[]>;

  /** Those of these users who are online: the cheapest way to know. Rejects never: what cannot be known is left out. */
  online(userIds: readonly string[]): Promise<ReadonlySet<string>>;

  /**
   * Users who are online: every one who is so the whole time exactly once.
   * @throws UsercastError (as a rejection) `INVALID_REQUEST` for a cursor that no page gave
   */
  list(cursor: string | undefined, limit: number): Promise<PresencePage>;

  /** Users online and their connections, in a time that does not grow with their number. */
  count(): Promise<{ readonly users: number; readonly connections: number }>;

  /** Leaves, as a node without connections. Safe to call twice. */
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
