import type { Clock } from "./ports.ts";

/** How many things each user may do in a period. */
export interface RateLimit {
  readonly points: number;
  readonly durationMs: number;
}

/**
 * Counts what users do in a period. It begins for all of them at the first thing one does after the last period's end, so that
 * nothing is kept, and no timer runs, for each of them.
 */
export class Rate {
  readonly #limit: RateLimit;
  readonly #clock: Clock;
  readonly #counts = new Map<string, number>();
  #endsAt = 0;

  constructor(limit: RateLimit, clock: Clock) {
    this.#limit = limit;
    this.#clock = clock;
  }

  /** Counts one more, and answers whether it is allowed. */
  take(userId: string): boolean {
    const now = this.#clock.now();
    // A clock that was set back must not hold anybody for longer than a period.
    if (now >= this.#endsAt || now < this.#endsAt - this.#limit.durationMs) {
      this.#counts.clear();
      this.#endsAt = now + this.#limit.durationMs;
    }
    const count = (this.#counts.get(userId) ?? 0) + 1;
    this.#counts.set(userId, count);
    return count <= this.#limit.points;
  }
}
