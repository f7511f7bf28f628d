import { type Availability, type Closing, type Missed, type Ready, type ReceiptNotice, UsercastError } from "@usercast/protocol";
import type { MessageInfo } from "./events.ts";
import { Listeners } from "./listeners.ts";

/**
 * Where a client is in its life.
 *
 * - `connecting`: dials for the first time, or is connected and waits to be accepted as a user. To `online`, `offline` or `closed`.
 * - `online`: messages flow. To `offline` or `closed`.
 * - `offline`: the connection broke or could not be made, and will be tried again. To `connecting` or `closed`.
 * - `closed`: nothing is tried any more, after `close()` or because the server ended it for good. After `close()` there is
 *   no way out; otherwise `me.socket.connect()` leads to `connecting`.
 */
export type Status = "connecting" | "online" | "offline" | "closed";

/** A message that nobody had a handler for. It counts as settled and will not come again. */
export interface UnhandledMessage {
  readonly event: string;
  readonly data: unknown;
  readonly info: MessageInfo;
}

/** How far a user has read. */
export interface ReadMark {
  readonly offset: number;
}

/** What `me.lifecycle.on(…)` tells of. */
export interface LifecycleEvents {
  status: (status: Status) => void;
  /** The server has accepted the connection as a user's; after each connect. */
  ready: (ready: Omit<Ready, "secret">) => void;
  /** Messages that will not come; each range is told once per page life. */
  missed: (missed: Missed) => void;
  /** Something failed that no caller was told of. Logged to the console where nobody listens. */
  error: (error: UsercastError) => void;
  unhandled: (message: UnhandledMessage) => void;
  /** The server cannot reach its store any more, or can again: until then it accepts nothing and has nothing new. Nothing is lost by it. */
  availability: (availability: Availability) => void;
  /** The server is about to end the connection, and why. */
  closing: (closing: Closing) => void;
  /** What became of a message sent by this user, on any of the user's pages; each state beyond `accepted` once. */
  receipt: (receipt: ReceiptNotice) => void;
  /** The user has read everything up to here, on this page or elsewhere; each time that it moves. */
  read: (read: ReadMark) => void;
}

type LifecycleListener = (payload: never) => unknown;

/** The events of a client itself, apart from those that users send each other. */
export class Lifecycle {
  readonly #listeners = new Listeners<LifecycleListener>();

  /** Adds a listener; the answer removes it. */
  on<Event extends keyof LifecycleEvents>(event: Event, listener: LifecycleEvents[Event]): () => void {
    return this.#listeners.add(event, listener);
  }

  /** Adds a listener for the next time only; the answer removes it. */
  once<Event extends keyof LifecycleEvents>(event: Event, listener: LifecycleEvents[Event]): () => void {
    return this.#listeners.add(event, listener, true);
  }

  /** Removes a listener, or all of an event, or all. */
  off<Event extends keyof LifecycleEvents>(event?: Event, listener?: LifecycleEvents[Event]): void {
    this.#listeners.remove(event, listener);
  }

  /** Tells the listeners. One that throws must not break the client's own work, so that is reported as well. */
  tell<Event extends keyof LifecycleEvents>(event: Event, payload: Parameters<LifecycleEvents[Event]>[0]): void {
    const listeners = this.#listeners.take(event);
    if (event === "error" && listeners.length === 0) console.error("Usercast:", payload);
    for (const listener of listeners) {
      try {
        listener(payload as never);
      } catch (cause) {
        if (event === "error") console.error("Usercast:", cause);
        else this.tell("error", new UsercastError("HANDLER_FAILED", `A listener of "${event}" failed.`, { cause }));
      }
    }
  }
}
