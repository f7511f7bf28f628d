import type { PublishResult } from "../ports.ts";

/** Publishes whose outcome is remembered: more than any caller has in flight, and a few megabytes at most. */
const CAPACITY = 16_384;

/**
 * The outcome of the latest publishes by the id of their draft, so that a retry gets the answer its first try got and
 * appends nothing. It lives in memory: whoever could retry lives in the same process. Failures are not remembered, they
 * may be tried again.
 */
export class RecentPublishes {
  readonly #half: number;
  // Forgetting one at a time, for every message, costs four times as much as forgetting half of them at once.
  #newer = new Map<string, PublishResult>();
  #older = new Map<string, PublishResult>();

  /** @param capacity how many it remembers at most; at least half of that */
  constructor(capacity: number = CAPACITY) {
    this.#half = Math.max(1, capacity / 2);
  }

  get(id: string): PublishResult | undefined {
    return this.#newer.get(id) ?? this.#older.get(id);
  }

  remember(id: string, result: PublishResult): void {
    if (result.state === "failed") return;
    if (this.#newer.size >= this.#half) {
      this.#older = this.#newer;
      this.#newer = new Map();
    }
    this.#newer.set(id, result);
  }

  /** It has not come to that after all. */
  forget(id: string): void {
    this.#newer.delete(id);
    this.#older.delete(id);
  }
}
