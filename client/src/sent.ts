import { type SendState, UsercastError } from "@usercast/protocol";
import type { Lifecycle } from "./lifecycle.ts";
import { Listeners } from "./listeners.ts";

/** A message that a server has accepted, and what has become of it since. */
export interface Sent {
  readonly to: string;
  /** The key it was sent with; receipts name it. */
  readonly key: string;
  /** `accepted`, then `delivered` and `read` where the server grants receipts; never backwards. */
  readonly state: SendState;
  /** Calls the listener with each later state; the answer removes it. */
  on(event: "change", listener: (state: SendState) => void): () => void;
}

const ORDER: readonly unknown[] = ["accepted", "delivered", "read"] satisfies readonly SendState[];

/** Whether `state` is one we know, and comes after `than`. */
export const isLater = (state: unknown, than: SendState): state is SendState => ORDER.indexOf(state) > ORDER.indexOf(than);

/** A `Sent` whose state its owner moves. */
export class SentMessage implements Sent {
  readonly to: string;
  readonly key: string;
  readonly #listeners = new Listeners<(state: SendState) => void>();
  readonly #lifecycle: Pick<Lifecycle, "tell">;
  #state: SendState;

  constructor({ to, key }: { readonly to: string; readonly key: string }, state: SendState, lifecycle: Pick<Lifecycle, "tell">) {
    this.to = to;
    this.key = key;
    this.#state = state;
    this.#lifecycle = lifecycle;
  }

  get state(): SendState {
    return this.#state;
  }

  on(event: "change", listener: (state: SendState) => void): () => void {
    return this.#listeners.add(event, listener);
  }

  /** Moves on to a later state, and tells the listeners. */
  reach(state: SendState): void {
    this.#state = state;
    for (const listener of this.#listeners.take("change")) {
      try {
        listener(state);
      } catch (cause) {
        const error = new UsercastError("HANDLER_FAILED", `A listener of a message to "${this.to}" failed.`, { cause });
        this.#lifecycle.tell("error", error);
      }
    }
  }
}
