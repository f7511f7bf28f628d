import type { CancelTimer, Clock } from "../ports.ts";

/** A clock that moves only when a test moves it. */
export class ManualClock implements Clock {
  #now: number;
  readonly #timers = new Set<{ readonly dueAt: number; readonly task: () => void }>();

  constructor(startAt = 1_790_000_000_000) {
    this.#now = startAt;
  }

  /** Timers that wait: zero after everything was closed. */
  get timers(): number {
    return this.#timers.size;
  }

  now(): number {
    return this.#now;
  }

  after(ms: number, task: () => void): CancelTimer {
    const timer = { dueAt: this.#now + Math.max(ms, 0), task };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** Sets the time without running timers, also backwards: what an operator or a time server does to a real clock. */
  set(now: number): void {
    this.#now = now;
  }

  /** Lets `ms` milliseconds pass and runs what comes due on the way, in order. */
  advance(ms: number): void {
    const end = this.#now + ms;
    for (;;) {
      const [next] = [...this.#timers].filter(({ dueAt }) => dueAt <= end).sort((a, b) => a.dueAt - b.dueAt);
      if (!next) break;
      this.#timers.delete(next);
      this.#now = Math.max(this.#now, next.dueAt);
      next.task();
    }
    this.#now = end;
  }
}
