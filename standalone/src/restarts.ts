/** Deaths are remembered for so long, and with one more than so many of them it is no accident any more. */
const WINDOW_MS = 60_000;
const MAX_DEATHS = 5;
/** Before the first worker takes the place of one that died; twice as long before each further one. */
const FIRST_DELAY_MS = 100;

/** How often one place has lost its worker of late. */
export class Restarts {
  #deaths: readonly number[] = [];

  /** Its worker died: milliseconds until the next one, or nothing where that would only go on. */
  died(now: number): number | undefined {
    this.#deaths = [...this.#deaths.filter((at) => now - at < WINDOW_MS), now];
    const { length } = this.#deaths;
    return length > MAX_DEATHS ? undefined : FIRST_DELAY_MS * 2 ** (length - 1);
  }
}
