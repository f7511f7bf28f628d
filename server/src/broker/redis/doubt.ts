/**
 * Whether the silence of other nodes proves anything. An outage of the store silences all of them, and a store that fails over to a
 * server with another clock ends leases before their time: then nobody is taken for dead until everybody had a lease's time to renew.
 * A node that has just come cannot know of either.
 */
export class Doubt {
  readonly #leaseMs: number;
  #renewed: { readonly at: number; readonly storeAt: number } | undefined;
  #until = Number.POSITIVE_INFINITY;

  constructor(leaseMs: number) {
    this.#leaseMs = leaseMs;
  }

  /** Our own lease was renewed at `now`, when the store's clock showed `storeNow`. */
  renewed(now: number, storeNow: number): void {
    if (this.#isLate(now) || this.#isOdd(now, storeNow)) this.#until = now + this.#leaseMs;
    this.#renewed = { at: now, storeAt: storeNow };
  }

  isIn(now: number): boolean {
    return now < this.#until || this.#isLate(now);
  }

  /** Nobody who renews in time needs half a lease for it. */
  #isLate(now: number): boolean {
    return this.#renewed === undefined || Math.abs(now - this.#renewed.at) > this.#leaseMs / 2;
  }

  /** Whether the store's clock and ours have not moved alike. */
  #isOdd(now: number, storeNow: number): boolean {
    if (this.#renewed === undefined) return true;
    const { at, storeAt } = this.#renewed;
    return Math.abs(storeNow - storeAt - (now - at)) > this.#leaseMs / 2;
  }
}
