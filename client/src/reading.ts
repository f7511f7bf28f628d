import { isOffset, type Ready, UsercastError } from "@usercast/protocol";
import type { Clock } from "./clock.ts";
import { Confirmations } from "./confirmations.ts";
import type { Lifecycle } from "./lifecycle.ts";
import { errorIn } from "./refusal.ts";

/** What a `Reading` needs. */
export interface ReadingParts {
  readonly clock: Clock;
  /** Is told each offset that is news. */
  readonly lifecycle: Pick<Lifecycle, "tell">;
  /** Milliseconds that marks are gathered. */
  readonly ackIntervalMs: number;
  /** Tells the server. MUST call `answered` once and later: with the answer, or with nothing where none came. */
  readonly send: (offset: number, answered: (answer?: unknown) => void) => void;
}

/**
 * How far the user has read: by this page's own marks, which are told to the server and kept until it knows them, and by
 * what the server tells of the user's other pages and devices. Moves forward only, within one life of the mailbox.
 */
export class Reading {
  readonly #parts: ReadingParts;
  /** Tells each connection's server of marks that it does not know. */
  readonly #marks: Confirmations;
  #epoch: string | undefined;
  /** By this page. */
  #marked = 0;
  /** By the server's word. */
  #known = 0;
  #told = 0;

  /** `epoch` is the life that marks belong to before the first connection, where an earlier life of this page knew one. */
  constructor(parts: ReadingParts, epoch: string | undefined) {
    const { clock, ackIntervalMs, send } = parts;
    this.#parts = parts;
    this.#epoch = epoch;
    this.#marks = new Confirmations(clock, ackIntervalMs, (offset, answered) =>
      send(offset, (answer) => {
        this.#answered(offset, answer);
        answered?.();
      }),
    );
  }

  get offset(): number {
    return Math.max(this.#marked, this.#known);
  }

  /**
   * The user has read everything up to `offset`, of which at most `newest` counts: more has not come into being.
   * @throws UsercastError `INVALID_POSITION`
   */
  mark(offset: number, newest: number): void {
    if (!isOffset(offset)) throw new UsercastError("INVALID_POSITION");
    this.#marked = Math.max(this.#marked, Math.min(offset, newest));
    this.#marks.reach(this.#marked);
    this.tell();
  }

  /** The server says how far the user has read, here or elsewhere. */
  heard(offset: number): void {
    this.#known = Math.max(this.#known, offset);
    this.tell();
  }

  /** A connection begins. Marks in another life of the mailbox are void. Tells nothing yet. */
  begin({ position: { epoch }, head, read }: Pick<Ready, "position" | "head" | "read">): void {
    if (this.#epoch !== undefined && this.#epoch !== epoch) this.clear();
    this.#epoch = epoch;
    // Beyond the head where the page did not know it, or the store was set back.
    this.#marked = Math.min(this.#marked, head.offset);
    this.#known = Math.min(Math.max(this.#known, read), head.offset);
    // Nothing stands still because of marks, so that there is no window to keep.
    this.#marks.begin(read, Number.POSITIVE_INFINITY);
    this.#marks.reach(this.#marked);
  }

  /** Tells the application where the offset has moved. */
  tell(): void {
    const { offset } = this;
    if (offset === this.#told) return;
    this.#told = offset;
    this.#parts.lifecycle.tell("read", { offset });
  }

  /** Tells the server now what waits, and answers whether there was anything; `answered` is called when it has heard it. */
  flush(answered?: () => void): boolean {
    return this.#marks.flush(answered);
  }

  /** The connection is gone; what the server does not know by then is told on the next one. */
  end(): void {
    this.#marks.end();
  }

  /** Forgets everything, because what comes next is another user's, or of another life. */
  clear(): void {
    this.#epoch = undefined;
    this.#marked = this.#known = 0;
  }

  #answered(offset: number, answer: unknown): void {
    const error = errorIn(answer);
    if (error === undefined) return;
    // What the server refuses it would refuse again.
    if (this.#marked === offset) this.#marked = 0;
    this.#parts.lifecycle.tell("error", error);
    this.tell();
  }
}
