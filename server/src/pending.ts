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
    const pending = new Pending<T>((resolve, reject) => promise.then(resolve, reject));
    // Attached to the original `then`, so that it does not count as someone who awaits.
    Promise.prototype.then.call(pending, undefined, (error: unknown) => {
      if (!pending.#awaited) report(error);
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
}
