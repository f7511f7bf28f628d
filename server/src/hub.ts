import type { Connection } from "./connection.ts";
import type { Cursors, Entry, MailboxListener, Signal } from "./ports.ts";
import { plainCursor } from "./resume.ts";

/** The connections of one user on this node, oldest first. Passes on what happens to the mailbox; does no I/O. */
export class UserConnections implements MailboxListener {
  readonly userId: string;
  readonly all = new Set<Connection>();
  /** The life of the mailbox that debt and cursor are about. */
  #epoch = "";
  /** The lowest confirmed offset of broken plain connections, until the next one takes their debt over. */
  #debt: number | undefined;
  /** How far the cursor of the plain device was said to have come: the broker may not have heard yet. */
  #reached = 0;

  constructor(userId: string) {
    this.userId = userId;
  }

  /**
   * Where a plain connection begins when the broker's cursor is at `offset`. It takes over what broken ones owe: that is its
   * own from now on.
   */
  beginPlain(epoch: string, offset: number): number {
    if (epoch !== this.#epoch) {
      this.#epoch = epoch;
      this.#debt = undefined;
      this.#reached = 0;
    }
    const start = Math.min(Math.max(offset, this.#reached), this.#debt ?? Number.POSITIVE_INFINITY);
    this.#debt = undefined;
    return start;
  }

  /** Takes a connection out; what was due to a plain one and is not confirmed stays owed. */
  remove(connection: Connection): void {
    this.all.delete(connection);
    const { plain, epoch, confirmed, due } = connection;
    if (plain && epoch === this.#epoch && confirmed < due) this.#debt = Math.min(this.#debt ?? confirmed, confirmed);
  }

  /** How far the device that all plain connections share has come in a life of the mailbox; nothing for a life that is over. */
  plainCursor(epoch: string): number | undefined {
    if (epoch !== this.#epoch) return undefined;
    this.#reached = Math.max(this.#reached, plainCursor(this.#plain(), this.#debt));
    return this.#reached;
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

  cursors(_device: string, _cursors: Cursors): void {}

  *#plain(): Iterable<Connection> {
    for (const connection of this.all) {
      if (connection.plain && connection.state !== "joining" && connection.epoch === this.#epoch) yield connection;
    }
  }
}

/** Who is connected to this node: user id → connections. */
export class Hub {
  readonly #users = new Map<string, UserConnections>();

  get(userId: string): UserConnections | undefined {
    return this.#users.get(userId);
  }

  /** The connections of a user, an empty group when there were none. */
  open(userId: string): UserConnections {
    const known = this.#users.get(userId);
    if (known !== undefined) return known;
    const made = new UserConnections(userId);
    this.#users.set(userId, made);
    return made;
  }

  /** Forgets a user without connections. */
  close(userId: string): void {
    this.#users.delete(userId);
  }

  /** Every connection of this node. */
  *connections(): Iterable<Connection> {
    for (const group of this.#users.values()) yield* group.all;
  }
}
