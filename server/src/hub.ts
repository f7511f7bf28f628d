import { PLAIN_DEVICE, type Position } from "@usercast/protocol";
import type { Connection } from "./connection.ts";
import { NOTHING_PASSED, named, split, together } from "./passed.ts";
import type { Control, CursorMove, CursorsMoved, Entry, MailboxListener, Signal, Unsubscribe } from "./ports.ts";
import type { SharedMove, SharedTurn } from "./sharing.ts";

// What nearly all users have, shared by them.
const NO_TURNS: readonly SharedTurn[] = [];

/** How a `Hub` works. */
export interface HubOptions {
  /** What this process is called where plain connections of several are told apart. */
  readonly holder: string;
  /** Milliseconds the cursor that plain connections share waits for those of a process that says nothing any more. */
  readonly inheritedMs: number;
  /** Milliseconds that what a broken plain connection is owed is kept once another one of its user is there. */
  readonly owedMs: number;
  /** Hears what was told to the nodes of a user who is connected here. */
  readonly onControl: (userId: string, control: Control) => void;
}

/** The connections of one user on this node, oldest first. Passes on what happens to the mailbox; does no I/O. */
export class UserConnections implements MailboxListener {
  readonly userId: string;
  /** Replaced as a whole: nearly all users have one. */
  all: readonly Connection[] = [];
  /** Ends the broker's telling; a promise as long as it has not begun. */
  subscription: Promise<Unsubscribe> | Unsubscribe | undefined;
  readonly #options: HubOptions;
  readonly #count: () => number;
  /** The life of the mailbox that the following is about. */
  #epoch = "";
  /** Plain connections that came and went since the last move. */
  #turns = NO_TURNS;
  /** What plain connections were not given, above the cursor they share. */
  #passed = NOTHING_PASSED;
  /** How far all plain connections here had come at once. */
  #reached = 0;
  /** How far that cursor is known to have come. */
  #stored = 0;
  /** The newest place known of the log: what is said of a log that came in its place must change nothing. */
  #witness: CursorMove["witness"];

  /** @param count gives numbers that rise */
  constructor(userId: string, options: HubOptions, count: () => number) {
    this.userId = userId;
    this.#options = options;
    this.#count = count;
  }

  /**
   * A plain connection has its start. What is owed to those that broke, the store knows: it is told who came, where it knows any.
   *
   * @param cursor where the store knows the plain device to be; nothing where it does not know it
   * @param head where the log ended when it found its start
   */
  enter({ epoch, confirmed }: Connection, cursor: number | undefined, head: Position): CursorMove | undefined {
    if (epoch !== this.#epoch) {
      this.#epoch = epoch;
      this.#turns = NO_TURNS;
      this.#passed = NOTHING_PASSED;
      this.#reached = 0;
      this.#stored = 0;
      this.#witness = undefined;
    }
    this.#saw(head);
    if (cursor === undefined) return undefined;
    this.#stored = Math.max(this.#stored, cursor);
    this.#turns = [...this.#turns, { type: "began", number: this.#count(), at: confirmed }];
    return this.plainMove(epoch, {});
  }

  /** What there is to say of the plain device once more, where others hold its cursor back, as far as is known. */
  again(): { readonly epoch: string; readonly move: CursorMove } | undefined {
    const move = this.#stored < (this.#floor() ?? 0) ? this.plainMove(this.#epoch, {}) : undefined;
    return move && { epoch: this.#epoch, move };
  }

  /** The log is gone, and with it every place in it. */
  forget(): void {
    this.#epoch = "";
  }

  add(connection: Connection): void {
    this.all = this.all.concat(connection);
  }

  /** Takes a connection out; what a plain one has not confirmed stays owed. */
  remove(connection: Connection): void {
    this.all = this.all.filter((one) => one !== connection);
    const { plain, epoch, confirmed } = connection;
    if (!plain || epoch !== this.#epoch) return;
    this.#turns = [...this.#turns, { type: "ended", number: this.#count(), at: confirmed }];
  }

  /**
   * What there is to say of the device that all plain connections share, wherever they are, now that one here has moved; nothing for a
   * life of the mailbox that is over. Its cursor comes as far as the store knows that nobody is owed what lies before.
   */
  plainMove(epoch: string, move: CursorMove): CursorMove | undefined {
    if (epoch === "" || epoch !== this.#epoch) return undefined;
    if (move.witness !== undefined) this.#saw(move.witness);
    const floor = this.#floor();
    this.#reached = Math.max(this.#reached, floor ?? 0);
    const delivered = floor ?? this.#reached;
    const passed = together(this.#passed, move);
    const [below] = split(passed, delivered);
    // Others may hold the cursor back: then the next move names it again.
    this.#passed = split(passed, this.#stored)[1];
    const { holder, owedMs, inheritedMs: heldMs } = this.#options;
    const turns = this.#turns;
    this.#turns = NO_TURNS;
    const shared: SharedMove = {
      ...{ holder, number: this.#count(), heldMs, owedMs },
      ...(floor !== undefined && { floor }),
      ...(turns.length > 0 && { turns }),
    };
    return { delivered, shared, ...named(below), ...(this.#witness && { witness: this.#witness }) };
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

  cursors({ device, epoch, from, to }: CursorsMoved): void {
    if (device === PLAIN_DEVICE && epoch === this.#epoch) {
      this.#stored = Math.max(this.#stored, to.delivered);
      this.#passed = split(this.#passed, this.#stored)[1];
    }
    if (to.read > from.read) for (const connection of this.all) connection.readElsewhere(epoch, to.read);
  }

  control(control: Control): void {
    this.#options.onControl(this.userId, control);
  }

  #saw({ offset, at }: Pick<Position, "offset" | "at">): void {
    if (offset > (this.#witness?.offset ?? 0)) this.#witness = { offset, at };
  }

  /** Up to where all plain connections have confirmed; nothing where there are none. */
  #floor(): number | undefined {
    let floor: number | undefined;
    for (const { plain, epoch, confirmed } of this.all) {
      if (plain && epoch === this.#epoch) floor = Math.min(floor ?? confirmed, confirmed);
    }
    return floor;
  }
}

/** Who is connected to this node: user id → connections. */
export class Hub {
  readonly #users = new Map<string, UserConnections>();
  readonly #options: HubOptions;
  #counted = 0;
  readonly #count = (): number => ++this.#counted;

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
    const opened = new UserConnections(userId, this.#options, this.#count);
    this.#users.set(userId, opened);
    return opened;
  }

  /** A user's last connection is gone. */
  close(userId: string): void {
    this.#users.delete(userId);
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
