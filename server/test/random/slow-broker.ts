import type {
  Broker,
  Cursors,
  Draft,
  MailboxListener,
  MailboxState,
  Page,
  PublishResult,
  Signal,
  Unsubscribe,
} from "../../src/ports.ts";

/** Is told of a cursor as it is about to be written. */
type OnAdvance = (userId: string, device: string, epoch: string, delivered: number) => Promise<void>;

/** Thrown by a store that fails. */
export class StoreFails extends Error {}

/** A broker whose answers take their time, fail, or leave something out, as the run wants it. */
export class SlowBroker implements Broker {
  readonly name = "slow";
  readonly scope = "process";
  /** Whether everything is answered at once, and truly. */
  isCalm = false;
  isFailing = false;
  losesHints = false;
  /** Who listens now. */
  readonly listeners = new Set<MailboxListener>();
  readonly #broker: Broker;
  readonly #random: (below: number) => number;
  readonly #onAdvance: OnAdvance;
  /** Answers that wait. */
  readonly #held: (() => void)[] = [];

  constructor(broker: Broker, random: (below: number) => number, onAdvance: OnAdvance) {
    this.#broker = broker;
    this.#random = random;
    this.#onAdvance = onAdvance;
  }

  /** Lets one answer through, if one waits. */
  answer(): void {
    this.#held.splice(this.#random(this.#held.length || 1), 1)[0]?.();
  }

  /** Lets everything through that waits. */
  answerAll(): void {
    while (this.#held.length > 0) this.answer();
  }

  publish(drafts: readonly Draft[]): Promise<readonly PublishResult[]> {
    return this.#broker.publish(drafts);
  }

  signal(userId: string, signal: Signal): void {
    this.#broker.signal(userId, signal);
  }

  read(userId: string, after: number, limit: number): Promise<Page> {
    return this.#later(() => this.#broker.read(userId, after, limit));
  }

  position(userId: string, device: string): Promise<MailboxState> {
    return this.#later(() => this.#broker.position(userId, device));
  }

  advance(userId: string, device: string, epoch: string, cursors: Partial<Cursors>): Promise<void> {
    return this.#later(async () => {
      await this.#onAdvance(userId, device, epoch, cursors.delivered ?? 0);
      await this.#broker.advance(userId, device, epoch, cursors);
    });
  }

  subscribe(userId: string, listener: MailboxListener): Promise<Unsubscribe> {
    const heard: MailboxListener = {
      entry: (entry, epoch) => {
        if (this.isCalm || !this.losesHints || this.#random(4) > 0) listener.entry(entry, epoch);
      },
      signal: (signal) => listener.signal(signal),
      cursors: (device, cursors) => listener.cursors(device, cursors),
      interrupted: () => listener.interrupted(),
    };
    return this.#later(async () => {
      const unsubscribe = await this.#broker.subscribe(userId, heard);
      this.listeners.add(heard);
      return async () => {
        this.listeners.delete(heard);
        await unsubscribe();
      };
    });
  }

  purge(userId: string): Promise<void> {
    return this.#broker.purge(userId);
  }

  close(): Promise<void> {
    return this.#broker.close();
  }

  /** An answer may be as old as its question, or as new as its arrival. */
  async #later<T>(ask: () => Promise<T>): Promise<T> {
    const how = this.isCalm ? "now" : (["early", "late"] as const)[this.#random(8)];
    const fails = this.isFailing;
    const early = how === "early" && !fails ? await ask() : undefined;
    if (how === "early" || how === "late") await new Promise<void>((resolve) => this.#held.push(resolve));
    if (fails) throw new StoreFails();
    return how === "early" ? (early as T) : ask();
  }
}
