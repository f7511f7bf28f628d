import type { Position } from "@usercast/protocol";
import type { Draft, KeyUse, SendKey } from "../../ports.ts";
import { keyScope } from "../results.ts";
import type { Retention } from "../retention.ts";
import { Queue } from "./queue.ts";

/** What a key's first use came to, and what it stood for. */
export interface KeyRecord extends KeyUse {
  readonly digest: string;
}

interface StoredKey extends KeyRecord {
  readonly userId: string;
  readonly scope: string;
  readonly expiresAt: number;
}

/** Idempotency keys of all users. They outlive their messages, and none is forgotten before its time. */
export class Keys {
  readonly #retention: Retention;
  readonly #byUser = new Map<string, Map<string, StoredKey>>();
  readonly #byAge = new Queue<StoredKey>();
  #live = 0;

  constructor(retention: Retention) {
    this.#retention = retention;
  }

  get isFull(): boolean {
    return this.#live >= this.#retention.maxIdempotencyKeys;
  }

  /** What the key came to that `from` used for a message to `userId`. */
  find(userId: string, from: string | undefined, key: string, now: number): KeyRecord | undefined {
    const stored = this.#byUser.get(userId)?.get(keyScope(from, key));
    return stored && stored.expiresAt > now ? stored : undefined;
  }

  /** Remembers a key that `find` did not find, after `clean`. */
  add(draft: Draft, key: SendKey, position: Position, now: number): void {
    const { userId } = draft;
    const scope = keyScope(draft.from, key.key);
    const { digest, receipts } = key;
    const expiresAt = now + this.#retention.idempotencyMs;
    const stored = { userId, scope, digest, position, expiresAt, ...(receipts && { receipts }) };
    const keys = this.#byUser.get(userId) ?? new Map<string, StoredKey>();
    this.#live++;
    this.#byUser.set(userId, keys.set(scope, stored));
    this.#byAge.push(stored);
  }

  /** Drops keys whose time is over. All live equally long, so these are the oldest. */
  clean(now: number): void {
    for (let oldest = this.#byAge.at(0); oldest !== undefined; oldest = this.#byAge.at(0)) {
      if (this.#isStored(oldest)) {
        if (oldest.expiresAt > now) return;
        this.#remove(oldest);
      }
      this.#byAge.drop();
    }
  }

  /** Forgets the keys of everything that was sent to `userId`. */
  purge(userId: string): void {
    this.#live -= this.#byUser.get(userId)?.size ?? 0;
    this.#byUser.delete(userId);
    // Purged keys would wait in the queue until they are the oldest; once they are the most of it they go.
    if (this.#byAge.size > this.#live * 2 + 1_024) this.#byAge.keep((stored) => this.#isStored(stored));
  }

  #isStored(stored: StoredKey): boolean {
    return this.#byUser.get(stored.userId)?.get(stored.scope) === stored;
  }

  #remove(stored: StoredKey): void {
    const keys = this.#byUser.get(stored.userId);
    if (keys?.delete(stored.scope)) this.#live--;
    if (keys?.size === 0) this.#byUser.delete(stored.userId);
  }
}
