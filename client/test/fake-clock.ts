import type { CancelTimer, Clock } from "../src/clock.ts";

/** A clock that stands still until a test moves it. */
export class FakeClock implements Clock {
  #now = 0;
  #sleptMs = 0;
  readonly #timers = new Set<{ readonly at: number; readonly task: () => void }>();

  now(): number {
    return this.#now;
  }

  wall(): number {
    return 1_790_000_000_000 + this.#now + this.#sleptMs;
  }

  /** The machine sleeps: only the wall clock moves. */
  sleep(ms: number): void {
    this.#sleptMs += ms;
  }

  /** Time passes in which nothing can run, so that timers are late. */
  stall(ms: number): void {
    this.#now += ms;
  }

  after(ms: number, task: () => void): CancelTimer {
    const timer = { at: this.#now + ms, task };
    this.#timers.add(timer);
    return () => void this.#timers.delete(timer);
  }

  /** How many timers wait. */
  get waiting(): number {
    return this.#timers.size;
  }

  /** Moves on by `ms`, running what falls due in order of time. */
  advance(ms: number): void {
    const until = this.#now + ms;
    for (;;) {
      const [next] = [...this.#timers].filter(({ at }) => at <= until).sort((a, b) => a.at - b.at);
      if (next === undefined) break;
      this.#timers.delete(next);
      this.#now = Math.max(this.#now, next.at);
      next.task();
    }
    this.#now = until;
  }
}

/** Lets promises that are already settled be heard. */
export const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
