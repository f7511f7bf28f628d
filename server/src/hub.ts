import type { Connection } from "./connection.ts";
import type { Cursors, Entry, MailboxListener, Signal } from "./ports.ts";
import { plainCursor } from "./resume.ts";

/** The connections of one user on this node, oldest first. Passes on what happens to the mailbox; does no I/O. */
export class UserConnections implements MailboxListener {
  readonly userId: string;
  readonly all = new Set<Connection>();
  /** The lowest confirmed offset of broken plain connections, until the next one takes their debt over. */
  #debt: number | undefined;

  constructor(userId: string) {
    this.userId = userId;
  }

  get debt(): number | undefined {
    return this.#debt;
  }

  /** A plain connection began at `offset`: what is owed after that is its own from now on. */
  takeDebtOver(offset: number): void {
    if (this.#debt !== undefined && offset <= this.#debt) this.#debt = undefined;
  }

  /** Takes a connection out; what a plain one was pushed and had not confirmed stays owed. */
  remove(connection: Connection): void {
    this.all.delete(connection);
    if (connection.plain && connection.confirmed < connection.sent) {
      this.#debt = Math.min(this.#debt ?? connection.confirmed, connection.confirmed);
    }
  }

  /** How far the device that all plain connections share has come. */
  plainCursor(): number {
    return plainCursor(this.#plain(), this.#debt);
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
    for (const connection of this.all) if (connection.plain && connection.state !== "joining") yield connection;
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
