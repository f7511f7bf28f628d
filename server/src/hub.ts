import type { Connection } from "./connection.ts";
import { named, type PassedOver, split, together } from "./passed.ts";
import type { Clock, Control, CursorMove, CursorsMoved, Entry, MailboxListener, Signal } from "./ports.ts";
import { plainCursor } from "./resume.ts";

/** Debts kept per user; beyond it the one that is owed least is forgotten. As many as a user may have connections by default. */
const MAX_DEBTS = 64;

/** Above every offset. */
const NOTHING_OWED = Number.POSITIVE_INFINITY;

/** What a broken plain connection had not confirmed. */
interface Debt {
  /** Up to where it had. */
  readonly confirmed: number;
  /** When it is given up; nothing while no other plain connection of the user is there, because then nothing passes it. */
  expiresAt: number | undefined;
}

// What nearly all users have, shared by them.
const NO_DEBTS: readonly Debt[] = [];
const NOTHING_PASSED: PassedOver = {};

/** How a `Hub` remembers debts. */
export interface HubOptions {
  readonly clock: Clock;
  /** Milliseconds a debt is kept once another plain connection of the user is there. */
  readonly owedMs: number;
  /** Absent users whose debts are remembered; beyond it those of the longest gone are forgotten. */
  readonly maxOwedUsers: number;
  /** When this process began, by the broker's clock: nobody remembers what connections of an earlier one are owed. */
  readonly startedAt: number;
  /** Until when, by ours, the cursor that an earlier process left is held for them. */
  readonly heldUntil: number;
  /** Hears what was told to the nodes of a user who is connected here. */
  readonly onControl: (userId: string, control: Control) => void;
}

/** The connections of one user on this node, oldest first. Passes on what happens to the mailbox; does no I/O. */
export class UserConnections implements MailboxListener {
  readonly userId: string;
  readonly all = new Set<Connection>();
  readonly #options: HubOptions;
  /** The life of the mailbox that debts and cursor are about. */
  #epoch = "";
  /** What broken plain connections are owed, the most first, until others take it over. */
  #debts = NO_DEBTS;
  /** What plain connections were not given, above their shared cursor. */
  #passed = NOTHING_PASSED;
  /** How far the cursor of the plain device was said to have come: the broker may not have heard yet. */
  #reached = 0;
  /**
   * Where an earlier process left the cursor. It may have had any number of connections, and whichever comes back first must
   * not take from the others what it confirms; so it is held there for a while from the start on.
   */
  #inherited: number | undefined;

  constructor(userId: string, options: HubOptions) {
    this.userId = userId;
    this.#options = options;
  }

  /** Whether broken plain connections are owed something still. */
  get owes(): boolean {
    return this.#debts.length > 0;
  }

  /**
   * Where a plain connection begins when the broker's cursor is at `offset`. It may be any of those that broke, so it gets
   * what any of them is owed, the most there is, and the debt that is crossed off is the least: whoever comes next may be the
   * one that is owed the most. The others have `owedMs` from now on, so that tabs that are closed for good neither hold the
   * cursor nor repeat old messages for ever.
   *
   * @param movedAt when that cursor last moved; nothing where there is none yet
   */
  beginPlain(epoch: string, offset: number, movedAt?: number): number {
    if (epoch !== this.#epoch) {
      this.#inherited = movedAt !== undefined && movedAt < this.#options.startedAt ? offset : undefined;
      this.#epoch = epoch;
      this.#debts = NO_DEBTS;
      this.#passed = NOTHING_PASSED;
      this.#reached = 0;
    }
    this.#forgetExpired();
    const [most] = this.#debts;
    this.#debts = this.#debts.slice(0, -1);
    for (const debt of this.#debts) debt.expiresAt ??= this.#expiry();
    return Math.min(Math.max(offset, this.#reached), most?.confirmed ?? NOTHING_OWED, this.#inherited ?? NOTHING_OWED);
  }

  /** The log is gone, and with it every place in it. */
  forget(): void {
    this.#epoch = "";
  }

  /** Takes a connection out; what was due to a plain one and is not confirmed stays owed. */
  remove(connection: Connection): void {
    this.all.delete(connection);
    const { plain, epoch, confirmed, due } = connection;
    if (!plain || epoch !== this.#epoch) return;
    const [another] = this.#plain();
    // With the last one gone, the time of those it left behind stands still.
    if (another === undefined) for (const debt of this.#debts) debt.expiresAt = undefined;
    if (confirmed >= due) return;
    const debt = { confirmed, expiresAt: another === undefined ? undefined : this.#expiry() };
    this.#debts = [...this.#debts, debt].sort((a, b) => a.confirmed - b.confirmed).slice(0, MAX_DEBTS);
  }

  /**
   * How far the device that all plain connections share has come in a life of the mailbox, now that one of them has moved; nothing
   * for a life that is over.
   */
  plainMove(epoch: string, move: CursorMove): CursorMove | undefined {
    if (epoch !== this.#epoch) return undefined;
    this.#forgetExpired();
    const cursor = plainCursor(this.#plain(), this.#debts[0]?.confirmed);
    this.#reached = Math.max(this.#reached, Math.min(cursor, this.#inherited ?? NOTHING_OWED));
    const [below, above] = split(together(this.#passed, move), this.#reached);
    this.#passed = above;
    return { delivered: this.#reached, ...named(below), ...(move.witness && { witness: move.witness }) };
  }

  entry(entry: Entry, epoch: string): void {
    for (const connection of this.all) connection.entry(entry, epoch);
  }

  signal(signal: Signal): void {
    for (const connection of this.all) connection.signal(signal);
  }

  interrupted(): void {
    for (const connection of this.all) connection.interrupted();
  }

  cursors({ epoch, from, to }: CursorsMoved): void {
    if (to.read > from.read) for (const connection of this.all) connection.readElsewhere(epoch, to.read);
  }

  control(control: Control): void {
    this.#options.onControl(this.userId, control);
  }

  #expiry(): number {
    return this.#options.clock.now() + this.#options.owedMs;
  }

  #forgetExpired(): void {
    const now = this.#options.clock.now();
    if (now >= this.#options.heldUntil) this.#inherited = undefined;
    if (this.owes) this.#debts = this.#debts.filter(({ expiresAt }) => expiresAt === undefined || expiresAt > now);
  }

  *#plain(): Iterable<Connection> {
    for (const connection of this.all) {
      if (connection.plain && connection.state !== "joining" && connection.epoch === this.#epoch) yield connection;
    }
  }
}

/** Who is connected to this node: user id → connections. */
export class Hub {
  readonly #users = new Map<string, UserConnections>();
  /** Users without connections whose broken ones are owed something, the longest gone first. */
  readonly #owing = new Map<string, UserConnections>();
  readonly #options: HubOptions;

  constructor(options: HubOptions) {
    this.#options = options;
  }

  /** The connections of a user, if there are any. */
  get(userId: string): UserConnections | undefined {
    return this.#users.get(userId);
  }

  /** The connections of a user, an empty group when there were none. */
  open(userId: string): UserConnections {
    const known = this.#users.get(userId);
    if (known !== undefined) return known;
    const opened = this.#owing.get(userId) ?? new UserConnections(userId, this.#options);
    this.#owing.delete(userId);
    this.#users.set(userId, opened);
    return opened;
  }

  /** A user's last connection is gone. What its plain ones are owed is remembered, as long as there is room. */
  close(userId: string): void {
    const group = this.#users.get(userId);
    this.#users.delete(userId);
    if (group === undefined || !group.owes) return;
    this.#owing.set(userId, group);
    if (this.#owing.size <= this.#options.maxOwedUsers) return;
    const [longestGone] = this.#owing.keys();
    if (longestGone !== undefined) this.#owing.delete(longestGone);
  }

  /** Users with a connection on this node. */
  get users(): number {
    return this.#users.size;
  }

  /** Every connection of this node. */
  *connections(): Iterable<Connection> {
    for (const group of this.#users.values()) yield* group.all;
  }
}
