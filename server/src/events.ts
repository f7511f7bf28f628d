/**
 * A map of events in the manner of Socket.IO's generics, with exactly one piece of data each:
 * `interface ToUser { message: (data: { text: string }) => void }`.
 */
export type EventMap<T> = { readonly [E in keyof T]: (data: never) => void };

/** Any event with any data: for those who do not type theirs. */
export interface DefaultEvents {
  [event: string]: (data: unknown) => void;
}

/** The names of a map's events. */
export type EventName<T> = keyof T & string;

/** The data of an event, as a list of one, or of none where the event has no data. */
export type EventData<T, E extends keyof T> = T[E] extends (...data: infer D) => void ? D : never;

type Handler = (...args: never[]) => void;

/** Handlers by event. A handler that throws is reported and does not keep the others from being called. */
export class Handlers {
  readonly #byEvent = new Map<string, Set<Handler>>();
  readonly #onThrow: (error: unknown, event: string) => void;

  constructor(onThrow: (error: unknown, event: string) => void) {
    this.#onThrow = onThrow;
  }

  /** Adds a handler; the returned function takes it away. */
  on(event: string, handler: Handler): () => void {
    const handlers = this.#byEvent.get(event) ?? new Set();
    // Wrapped, so that the same function added twice is called twice and taken away one at a time.
    const own: Handler = (...args) => handler(...args);
    handlers.add(own);
    this.#byEvent.set(event, handlers);
    return () => {
      handlers.delete(own);
      if (handlers.size === 0 && this.#byEvent.get(event) === handlers) this.#byEvent.delete(event);
    };
  }

  has(event: string): boolean {
    return this.#byEvent.has(event);
  }

  /** Calls the handlers of an event, in the order they were added. */
  call(event: string, ...args: readonly unknown[]): void {
    for (const handler of [...(this.#byEvent.get(event) ?? [])]) {
      try {
        const result: unknown = handler(...(args as never[]));
        if (result instanceof Promise) result.catch((error: unknown) => this.#onThrow(error, event));
      } catch (error) {
        this.#onThrow(error, event);
      }
    }
  }

  clear(): void {
    this.#byEvent.clear();
  }
}
