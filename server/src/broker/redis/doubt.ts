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
    if (this.#isLateOrOdd(now, storeNow)) this.#until = now + this.#leaseMs;
    this.#renewed = { at: now, storeAt: storeNow };
  }

  /**
   * Until when, by the store's clock, a lease that has ended proves a death; 0 for not at all. Nobody who renews in time needs half a lease
   * for it, so what reaches the store later than that has waited for something that others wait for, too.
   */
  trustedUntil(now: number): number {
    return this.#renewed === undefined || now < this.#until ? 0 : this.#renewed.storeAt + this.#leaseMs / 2;
  }

  #isLateOrOdd(now: number, storeNow: number): boolean {
    if (this.#renewed === undefined) return true;
    const [elapsed, storeElapsed] = [now - this.#renewed.at, storeNow - this.#renewed.storeAt];
    return Math.abs(elapsed) > this.#leaseMs / 2 || Math.abs(storeElapsed - elapsed) > this.#leaseMs / 2;
  }
}
