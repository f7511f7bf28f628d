import type { PublishResult } from "../ports.ts";

/** Publishes whose outcome is remembered: more than any caller has in flight, and a few megabytes at most. */
const CAPACITY = 16_384;

/**
 * The outcome of the latest publishes by the id of their draft, so that a retry gets the answer its first try got and
 * appends nothing. It lives in memory: whoever could retry lives in the same process. Failures are not remembered, they
 * may be tried again.
 */
export class RecentPublishes {
  readonly #capacity: number;
  readonly #ring: string[] = [];
  readonly #results = new Map<string, PublishResult>();
  #next = 0;

  constructor(capacity: number = CAPACITY) {
    this.#capacity = capacity;
  }

  get(id: string): PublishResult | undefined {
    return this.#results.get(id);
  }

  remember(id: string, result: PublishResult): void {
    if (result.state === "failed" || this.#results.has(id)) return;
    const oldest = this.#ring[this.#next];
    if (oldest !== undefined) this.#results.delete(oldest);
    this.#ring[this.#next] = id;
    this.#next = (this.#next + 1) % this.#capacity;
    this.#results.set(id, result);
  }
}
