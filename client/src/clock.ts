/** Ends a timer; safe to call twice. */
export type CancelTimer = () => void;

/** Time, so that tests can own it. */
export interface Clock {
  /** Milliseconds from some fixed moment; never jumps back. */
  now(): number;
  /** Milliseconds since 1970, also of the time that the machine sleeps; may be corrected. */
  wall(): number;
  /** Runs `task` once after `ms` milliseconds. */
  after(ms: number, task: () => void): CancelTimer;
}

// A longer delay would overflow the timer and fire at once.
const MAX_TIMER_MS = 2 ** 31 - 1;

/** The clock of the machine; it does not follow corrections of the wall clock, which would release held messages early. */
export const systemClock: Clock = {
  now: () => performance.now(),
  wall: () => Date.now(),
  after(ms, task) {
    const timer = setTimeout(task, Math.min(Math.max(ms, 0), MAX_TIMER_MS));
    return () => clearTimeout(timer);
  },
};

/** Delays that double from one try to the next, up to a ceiling. */
export class Backoff {
  readonly #firstMs: number;
  readonly #maxMs: number;
  #tries = 0;

  constructor(firstMs: number, maxMs: number) {
    this.#firstMs = firstMs;
    this.#maxMs = maxMs;
  }

  /** How long to wait before the next try. */
  next(): number {
    // The exponent is capped because 2 ** 1024 is Infinity, and Infinity times a first delay of 0 is not a number.
    const delayMs = Math.min(this.#maxMs, this.#firstMs * 2 ** Math.min(this.#tries, 30));
    this.#tries += 1;
    return delayMs;
  }

  /** It worked: the next wait is the first again. */
  reset(): void {
    this.#tries = 0;
  }
}
