import { EVENTS, type ReceiptNotice } from "@usercast/protocol";
import type { Hub } from "./hub.ts";
import type { Broker, Cursors, MailboxListener, Unsubscribe } from "./ports.ts";

/** A message whose sender wants to know when it is delivered. */
export interface Followed {
  readonly sender: string;
  readonly recipient: string;
  readonly key: string;
  readonly epoch: string;
  readonly offset: number;
}

/** Follows one recipient's cursors for those who sent to them. */
class Follower implements MailboxListener {
  /** In order of offset, as the messages were accepted. */
  readonly pending: Followed[] = [];
  readonly #onDelivered: (followed: readonly Followed[]) => void;
  subscription: Promise<Unsubscribe> | undefined;

  constructor(onDelivered: (followed: readonly Followed[]) => void) {
    this.#onDelivered = onDelivered;
  }

  add(followed: Followed): void {
    let place = this.pending.length;
    while (place > 0 && (this.pending[place - 1]?.offset ?? 0) > followed.offset) place -= 1;
    this.pending.splice(place, 0, followed);
  }

  /** Costs a step per message that was followed and is delivered, and nothing for those of others. */
  cursors(_device: string, { delivered }: Cursors): void {
    let count = 0;
    while ((this.pending[count]?.offset ?? Number.POSITIVE_INFINITY) <= delivered) count += 1;
    if (count > 0) this.#onDelivered(this.pending.splice(0, count));
  }

  entry(): void {}
  signal(): void {}
  interrupted(): void {}
}

/** How `Receipts` work. */
export interface ReceiptsOptions {
  readonly broker: Broker;
  readonly hub: Hub;
  /** Messages followed at once; beyond it the recipient followed for longest is given up. */
  readonly maxPending: number;
  readonly onError: (error: unknown) => void;
}

/** Tells users who sent a message when its first device has confirmed it. */
export class Receipts {
  readonly #options: ReceiptsOptions;
  readonly #followers = new Map<string, Follower>();
  #pending = 0;

  constructor(options: ReceiptsOptions) {
    this.#options = options;
  }

  /** Begins to follow a message that was just accepted. */
  async follow(followed: Followed): Promise<void> {
    const { broker, maxPending, onError } = this.#options;
    const { recipient } = followed;
    while (this.#pending >= maxPending) this.#giveUpOldest();
    let follower = this.#followers.get(recipient);
    if (follower === undefined) {
      follower = new Follower((delivered) => this.#delivered(recipient, delivered));
      follower.subscription = broker.subscribe(recipient, follower);
      this.#followers.set(recipient, follower);
    }
    follower.add(followed);
    this.#pending += 1;
    try {
      await follower.subscription;
      // The cursor may have passed the message before we listened.
      const { epoch, user } = await broker.position(recipient, "");
      if (epoch === followed.epoch) follower.cursors("", user);
    } catch (error) {
      onError(error);
      this.#giveUp(recipient, follower);
    }
  }

  /** Ends every subscription. */
  async close(): Promise<void> {
    await Promise.all([...this.#followers].map(([recipient, follower]) => this.#giveUp(recipient, follower)));
  }

  #delivered(recipient: string, delivered: readonly Followed[]): void {
    this.#pending -= delivered.length;
    for (const { sender, key } of delivered) {
      const notice: ReceiptNotice = { to: recipient, key, state: "delivered" };
      for (const connection of this.#options.hub.get(sender)?.all ?? []) connection.control(EVENTS.receipt, notice);
    }
    const follower = this.#followers.get(recipient);
    if (follower?.pending.length === 0) void this.#giveUp(recipient, follower);
  }

  #giveUpOldest(): void {
    const [oldest] = this.#followers;
    if (oldest === undefined) return;
    void this.#giveUp(...oldest);
  }

  async #giveUp(recipient: string, follower: Follower): Promise<void> {
    if (this.#followers.get(recipient) !== follower) return;
    this.#followers.delete(recipient);
    this.#pending -= follower.pending.length;
    follower.pending.length = 0;
    try {
      await (await follower.subscription)?.();
    } catch (error) {
      this.#options.onError(error);
    }
  }
}
