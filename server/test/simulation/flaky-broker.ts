import type {
  Broker,
  CursorMove,
  Draft,
  KeyUse,
  MailboxListener,
  MailboxState,
  Page,
  PublishResult,
  Signal,
  Unsubscribe,
} from "../../src/ports.ts";
import type { Random } from "./random.ts";
import type { Store } from "./store.ts";

/** Thrown by a store that fails. */
export class StoreFails extends Error {}

/** How a store and the way to it may misbehave. */
export interface Weather {
  /** Whether everything is answered at once, and truly. */
  isCalm: boolean;
  /** Whether the store fails now. */
  isFailing: boolean;
  /** Whether hints are lost, late, repeated or out of order. */
  readonly hintsAreLost: boolean;
}

/** What a `FlakyBroker` is like. */
export interface FlakyOptions {
  readonly weather: Weather;
  readonly random: Random;
  readonly scope: Broker["scope"];
  readonly onFailure: () => void;
}

/** One node's way to the store: answers take their time, fail, or get lost after what they answer for was done. */
export class FlakyBroker implements Broker {
  readonly name = "flaky";
  readonly scope: Broker["scope"];
  readonly idempotencyMs = 86_400_000;
  /** How often it was asked for anything. */
  calls = 0;
  /** Who listens now. */
  readonly listeners = new Set<MailboxListener>();
  readonly #store: Store;
  readonly #weather: Weather;
  readonly #random: Random;
  readonly #onFailure: () => void;
  /** Answers and hints that wait. */
  readonly #held: (() => void)[] = [];
  readonly #subscriptions = new Set<Unsubscribe>();
  #isDead = false;

  constructor(store: Store, { weather, random, scope, onFailure }: FlakyOptions) {
    this.scope = scope;
    this.#store = store;
    this.#weather = weather;
    this.#random = random;
    this.#onFailure = onFailure;
  }

  /** Lets one answer or hint through, if one waits. */
  answer(): void {
    this.#held.splice(this.#random(this.#held.length || 1), 1)[0]?.();
  }

  /** Lets everything through that waits. */
  answerAll(): void {
    while (this.#held.length > 0) this.answer();
  }

  /** The node's process is gone: nothing is heard here any more. */
  kill(): void {
    this.#isDead = true;
    this.#held.length = 0;
    this.listeners.clear();
    for (const unsubscribe of this.#subscriptions) void unsubscribe();
  }

  now(): number {
    return this.#store.broker.now();
  }

  async publish(drafts: readonly Draft[]): Promise<readonly PublishResult[]> {
    const results: PublishResult[] = [];
    for (const draft of drafts) results.push(await this.#later(() => this.#store.publish(draft)));
    return results;
  }

  signal(userId: string, signal: Signal): void {
    this.#store.broker.signal(userId, signal);
  }

  tell(): void {}

  async listen(): Promise<Unsubscribe> {
    return async () => {};
  }

  read(userId: string, after: number, limit: number): Promise<Page> {
    return this.#later(() => this.#store.broker.read(userId, after, limit));
  }

  position(userId: string): Promise<MailboxState> {
    return this.#later(() => this.#store.broker.position(userId));
  }

  recall(userId: string, from: string | undefined, key: string): Promise<KeyUse | undefined> {
    return this.#later(() => this.#store.broker.recall(userId, from, key));
  }

  advance(userId: string, device: string, epoch: string, move: CursorMove): Promise<void> {
    return this.#later(() => this.#store.advance(userId, device, epoch, move));
  }

  subscribe(userId: string, listener: MailboxListener): Promise<Unsubscribe> {
    let made: Unsubscribe | undefined;
    const heard: MailboxListener = {
      entry: (entry, epoch) => this.#hint(() => listener.entry(entry, epoch)),
      signal: (signal) => this.#isDead || listener.signal(signal),
      cursors: (moved) => this.#hint(() => listener.cursors(moved)),
      control: (control) => this.#isDead || listener.control(control),
      interrupted: () => this.#isDead || listener.interrupted(),
    };
    const subscribed = this.#later(async () => {
      const end = await this.#store.broker.subscribe(userId, heard);
      const unsubscribe = async (): Promise<void> => {
        this.listeners.delete(heard);
        this.#subscriptions.delete(unsubscribe);
        await end();
      };
      if (this.#isDead) return unsubscribe;
      this.listeners.add(heard);
      this.#subscriptions.add(unsubscribe);
      made = unsubscribe;
      return unsubscribe;
    });
    // Where it is refused, there is none.
    subscribed.catch(() => made?.());
    return subscribed;
  }

  purge(userId: string): Promise<void> {
    return this.#store.purge(userId);
  }

  async close(): Promise<void> {}

  #hint(tell: () => void): void {
    if (this.#isDead) return;
    const how =
      this.#weather.isCalm || !this.#weather.hintsAreLost ? "now" : (["lost", "late", "twice"] as const)[this.#random(9)];
    if (how === "late") this.#held.push(tell);
    else if (how !== "lost") tell();
    if (how === "twice") tell();
  }

  /** An answer may be as old as its question, or as new as its arrival; a failure may come before what was asked for, or after. */
  async #later<T>(ask: () => Promise<T>): Promise<T> {
    this.calls += 1;
    const { isCalm, isFailing } = this.#weather;
    const how = isCalm ? "now" : (["early", "late"] as const)[this.#random(8)];
    const isDone = how === "early" || (isFailing && this.#random(2) === 0);
    const early = isDone ? await ask() : undefined;
    if (how === "early" || how === "late") await new Promise<void>((resolve) => this.#held.push(resolve));
    if (this.#isDead) return new Promise<T>(() => {});
    if (isFailing) {
      this.#onFailure();
      throw new StoreFails("the store fails");
    }
    const answer = isDone ? (early as T) : await ask();
    return this.#isDead ? new Promise<T>(() => {}) : answer;
  }
}
