import type { Position } from "@usercast/protocol";
import type { CursorMove, Entry, Page } from "./ports.ts";
import { contradicts } from "./resume.ts";

const UNKNOWN = -1;

/**
 * The newest place of its mailbox that a connection has passed. A store may lose its newest part and go on: then other messages
 * come under offsets that were given before, in the same epoch. Times of acceptance tell, because they rise with the offsets.
 */
export class Place {
  /** Below every offset where its time is not known. */
  #offset = UNKNOWN;
  #at = 0;

  /** Begins at `offset`, which is a place in the log as it stands. */
  begin(offset: number, known: Position): void {
    this.#offset = offset === known.offset ? offset : UNKNOWN;
    this.#at = known.at;
  }

  pass({ offset, at }: Entry): void {
    if (offset <= this.#offset) return;
    this.#offset = offset;
    this.#at = at;
  }

  /** The move with a message that was given, to tell the log by: a log that came in the place of that one must not be moved in. */
  attest(move: CursorMove): CursorMove {
    return this.#offset <= 0 ? move : { ...move, witness: { offset: this.#offset, at: this.#at } };
  }

  /** Whether an entry cannot be of the same log. */
  isContradictedBy({ offset, at }: Entry): boolean {
    return this.#offset !== UNKNOWN && Math.sign(offset - this.#offset) !== Math.sign(at - this.#at);
  }

  /** After which offset a read begins that shows whether the place still is one; `sent` where that cannot be told. */
  get before(): number | undefined {
    return this.#offset <= 0 ? undefined : this.#offset - 1;
  }

  /** Whether a page is of a log that went back behind `sent`, or has grown since then again; read after `before` if `isWhole`. */
  isLostIn(page: Page, sent: number, isWhole: boolean): boolean {
    if (page.head.offset < sent) return true;
    const [first] = page.entries;
    if (first !== undefined && this.isContradictedBy(first)) return true;
    return isWhole && this.#offset !== UNKNOWN && contradicts({ epoch: "", offset: this.#offset, at: this.#at }, page);
  }
}
