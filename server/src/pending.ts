/** The two ends of something that is waited for; the first call counts. */
export interface Settle<T> {
  readonly resolve: (value: T) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * A promise whose rejection, when nobody awaits it, is reported instead of ending the process: sending without waiting for
 * the answer is ordinary use.
 */
export class Pending<T> extends Promise<T> {
  #awaited = false;

  // What `then` derives is an ordinary promise: whoever attached to this one answers for that.
  static override get [Symbol.species](): PromiseConstructor {
    return Promise;
  }

  /** `promise`, with `report` told of a rejection nobody awaits. */
  static of<T>(promise: Promise<T>, report: (error: unknown) => void): Pending<T> {
    return Pending.begin(({ resolve, reject }) => void promise.then(resolve, reject), report);
  }

  /** What `start` settles, with `report` told of a rejection nobody awaits. A message makes no other promise on its way. */
  static begin<T>(start: (settle: Settle<T>) => void, report: (error: unknown) => void): Pending<T> {
    const pending: Pending<T> = new Pending<T>((resolve, reject) => {
      start({
        resolve,
        reject: (error) => {
          reject(error);
          // It may be rejected before there is a promise to be looked at.
          queueMicrotask(() => pending.#watch(report));
        },
      });
    });
    return pending;
  }

  // biome-ignore lint/suspicious/noThenProperty: a promise has one; ours notes that it was called.
  override then<A = T, B = never>(
    onFulfilled?: ((value: T) => A | PromiseLike<A>) | null,
    onRejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    this.#awaited = true;
    return super.then(onFulfilled, onRejected);
  }

  #watch(report: (error: unknown) => void): void {
    // Attached to the original `then`, so that it does not count as someone who awaits.
    if (!this.#awaited) Promise.prototype.then.call(this, undefined, (error: unknown) => !this.#awaited && report(error));
  }
}
