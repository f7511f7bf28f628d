import { UsercastError } from "@usercast/protocol";
import { type Followed, Follower } from "./follower.ts";
import type { Broker, Unsubscribe } from "./ports.ts";
import { type Place, type Progress, progressOf } from "./progress.ts";

/** How `Receipts` work. */
export interface ReceiptsOptions {
  readonly broker: Broker;
  /** Messages followed at once: those that somebody waits for, and the others, each. */
  readonly maxPending: number;
  readonly onError: (error: unknown) => void;
}

interface Subscribed {
  readonly follower: Follower;
  readonly subscription: Promise<Unsubscribe>;
}

/** Tells those who sent a message what became of it, by following its recipient's cursors. */
export class Receipts {
  readonly #options: ReceiptsOptions;
  /** By recipient, the one followed for longest first. */
  readonly #followers = new Map<string, Subscribed>();
  /** What somebody waits for, which is not given up for others. */
  readonly #waits = new Set<Followed>();
  #others = 0;
  readonly #ending = new Set<Promise<void>>();
  #isClosed = false;

  constructor(options: ReceiptsOptions) {
    this.#options = options;
  }

  /** Follows a message for as long as there is room: the recipient followed for longest is given up for it. Never rejects. */
  async follow(followed: Followed): Promise<void> {
    // A send may be accepted while the server detaches.
    if (this.#isClosed) return;
    while (this.#others >= this.#options.maxPending) this.#giveUpOldest();
    try {
      await this.#follow(followed);
    } catch (error) {
      this.#options.onError(error);
    }
  }

  /**
   * Follows a message that somebody waits for, until the answer is called.
   * @throws UsercastError `OVERLOADED`, `SERVER_CLOSED`, or what the broker says
   */
  async await(followed: Followed): Promise<() => void> {
    if (this.#isClosed) throw new UsercastError("SERVER_CLOSED");
    if (this.#waits.size >= this.#options.maxPending) throw new UsercastError("OVERLOADED", "Too many receipts are waited for.");
    this.#waits.add(followed);
    await this.#follow(followed);
    return () => void this.#followers.get(followed.recipient)?.follower.drop((other) => other === followed);
  }

  /** Ends every subscription, and tells those who wait. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const { follower } of this.#followers.values()) endAll(follower, () => true, new UsercastError("SERVER_CLOSED"));
    await Promise.all(this.#ending);
  }

  async #follow(followed: Followed): Promise<void> {
    const { recipient } = followed;
    const subscribed = this.#followers.get(recipient) ?? this.#subscribe(recipient);
    if (!subscribed.follower.add(followed)) return;
    if (!this.#waits.has(followed)) this.#others += 1;
    // The cursor may have passed the message before we listened.
    await this.#look(recipient, subscribed, followed);
  }

  #subscribe(recipient: string): Subscribed {
    const follower = new Follower({
      onGone: (gone) => this.#onGone(recipient, subscribed, gone),
      onInterrupted: () => void this.#look(recipient, subscribed).catch(this.#options.onError),
    });
    const subscribed: Subscribed = { follower, subscription: this.#options.broker.subscribe(recipient, follower) };
    this.#followers.set(recipient, subscribed);
    return subscribed;
  }

  /** Compares one message, or all of them, with where the mailbox stands. */
  async #look(recipient: string, { follower, subscription }: Subscribed, only?: Followed): Promise<void> {
    try {
      await subscription;
      const { broker } = this.#options;
      const filtered = only === undefined ? follower.filtered : only.devices === undefined ? [] : [only.offset];
      const kept = await keptOf(broker, recipient, filtered);
      const state = await broker.position(recipient);
      endAll(follower, ({ epoch }) => epoch !== state.epoch, new UsercastError("MESSAGE_GONE"));
      // A device passes what is for it also where it is gone by then: only of what is there still can its cursor tell.
      const progress = (place: Place): Progress =>
        place.devices === undefined || kept.has(place.offset) ? progressOf(state, place) : {};
      // Most often nothing has become of it yet, and the others were looked at when they were new.
      if (only === undefined || progress(only).delivered !== undefined) follower.look(progress);
    } catch (error) {
      endAll(follower, () => true, UsercastError.from(error, "UNAVAILABLE"));
      throw error;
    }
  }

  #onGone(recipient: string, subscribed: Subscribed, gone: readonly Followed[]): void {
    for (const followed of gone) if (!this.#waits.delete(followed)) this.#others -= 1;
    if (!subscribed.follower.isEmpty || this.#followers.get(recipient) !== subscribed) return;
    this.#followers.delete(recipient);
    const ended = subscribed.subscription
      .then((unsubscribe) => unsubscribe())
      // That it could not be made was told to who asked for it.
      .catch(() => {})
      .finally(() => this.#ending.delete(ended));
    this.#ending.add(ended);
  }

  #giveUpOldest(): void {
    for (const { follower } of this.#followers.values()) {
      if (follower.drop((followed) => !this.#waits.has(followed)).length > 0) return;
    }
  }
}

/** Those of the offsets at which the log holds a message. */
async function keptOf(broker: Broker, userId: string, offsets: readonly number[]): Promise<ReadonlySet<number>> {
  const kept = new Set<number>();
  for (const offset of new Set(offsets)) {
    const { entries } = await broker.read(userId, offset - 1, 1);
    if (entries[0]?.offset === offset) kept.add(offset);
  }
  return kept;
}

function endAll(follower: Follower, isOver: (followed: Followed) => boolean, error: UsercastError): void {
  for (const { onEnd } of follower.drop(isOver)) onEnd?.(error);
}
