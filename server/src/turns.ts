/**
 * Lets so many things happen in one turn of the event loop, and the others wait for the next ones, first come, first served:
 * a crowd that comes back must not stall who is live.
 */
export class Turns {
  readonly #perTurn: number;
  #left: number;
  #waiting: (() => void)[] = [];
  #isScheduled = false;

  constructor(perTurn: number) {
    this.#perTurn = perTurn;
    this.#left = perTurn;
  }

  /** Nothing where it may happen now; otherwise resolves when it may. */
  take(): Promise<void> | undefined {
    this.#schedule();
    if (this.#waiting.length > 0 || this.#left <= 0) return new Promise((resolve) => this.#waiting.push(resolve));
    this.#left -= 1;
    return undefined;
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      const next = this.#waiting.slice(0, this.#perTurn);
      this.#waiting = this.#waiting.slice(next.length);
      this.#left = this.#perTurn - next.length;
      if (next.length > 0) this.#schedule();
      for (const go of next) go();
    });
  }
}
