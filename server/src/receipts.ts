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
  /** Cursors may have moved unheard, or the mailbox has begun a new life. */
  readonly interrupted: () => void;
  subscription: Promise<Unsubscribe> | undefined;

  constructor(onDelivered: (followed: readonly Followed[]) => void, onInterrupted: (follower: Follower) => void) {
    this.#onDelivered = onDelivered;
    this.interrupted = () => onInterrupted(this);
  }

  /** Forgets what belongs to another life of the mailbox; says how many those were. */
  forgetOthers(epoch: string): number {
    const before = this.pending.length;
    this.pending.splice(0, before, ...this.pending.filter((followed) => followed.epoch === epoch));
    return before - this.pending.length;
  }

  /** Whether it is followed anew: a retried send is followed already. */
  add(followed: Followed): boolean {
    let place = this.pending.length;
    while (place > 0 && (this.pending[place - 1]?.offset ?? 0) > followed.offset) place -= 1;
    if (this.pending[place - 1]?.offset === followed.offset) return false;
    this.pending.splice(place, 0, followed);
    return true;
  }

  /** Costs a step per message that was followed and is delivered, and nothing for those of others. */
  cursors(_device: string, { delivered }: Cursors): void {
    let count = 0;
    while ((this.pending[count]?.offset ?? Number.POSITIVE_INFINITY) <= delivered) count += 1;
    if (count > 0) this.#onDelivered(this.pending.splice(0, count));
  }

  entry(): void {}
  signal(): void {}
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
  #closed = false;

  constructor(options: ReceiptsOptions) {
    this.#options = options;
  }

  /** Begins to follow a message that was just accepted. */
  async follow(followed: Followed): Promise<void> {
    const { broker, maxPending } = this.#options;
    const { recipient } = followed;
    // A send may be accepted while the server detaches.
    if (this.#closed) return;
    while (this.#pending >= maxPending) this.#giveUpOldest();
    let follower = this.#followers.get(recipient);
    if (follower === undefined) {
      follower = new Follower(
        (delivered) => this.#delivered(recipient, delivered),
        (interrupted) => void this.#look(recipient, interrupted),
      );
      follower.subscription = broker.subscribe(recipient, follower);
      this.#followers.set(recipient, follower);
    }
    if (!follower.add(followed)) return;
    this.#pending += 1;
    // The cursor may have passed the message before we listened.
    await this.#look(recipient, follower);
  }

  /** Ends every subscription. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#followers].map(([recipient, follower]) => this.#giveUp(recipient, follower)));
  }

  /** Compares with where the mailbox stands. */
  async #look(recipient: string, follower: Follower): Promise<void> {
    const { broker, onError } = this.#options;
    try {
      await follower.subscription;
      const { epoch, user } = await broker.position(recipient, "");
      if (this.#followers.get(recipient) !== follower) return;
      this.#pending -= follower.forgetOthers(epoch);
      follower.cursors("", user);
      if (follower.pending.length === 0) await this.#giveUp(recipient, follower);
    } catch (error) {
      onError(error);
      await this.#giveUp(recipient, follower);
    }
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
