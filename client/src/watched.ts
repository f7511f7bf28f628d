/**
 * A promise whose rejection is reported when nobody waits for it, instead of ending the process. It must be a subclass:
 * `await` looks past a `then` of a native promise.
 */
class WatchedPromise<T> extends Promise<T> {
  // What `then` makes is an ordinary promise: whoever chains has taken the rejection over.
  static override get [Symbol.species](): PromiseConstructor {
    return Promise;
  }

  awaited = false;

  // biome-ignore lint/suspicious/noThenProperty: this is a promise.
  override then<A = T, B = never>(
    fulfilled?: ((value: T) => A | PromiseLike<A>) | null,
    rejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    this.awaited = true;
    return super.then(fulfilled, rejected);
  }
}

/** The outcome of `work` as a promise; `report` gets the rejection if nobody has begun to wait for it by then. */
export function watched<T>(work: Promise<T>, report: (error: unknown) => void): Promise<T> {
  const promise = new WatchedPromise<T>((resolve, reject) => work.then(resolve, reject));
  // Called on the base class, this does not count as awaited.
  Promise.prototype.then.call(promise, undefined, (error: unknown) => {
    // A caller may begin to wait in a later microtask, as `Promise.all` does.
    setTimeout(() => promise.awaited || report(error));
  });
  return promise;
}
