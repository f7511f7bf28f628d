import { createHmac, randomBytes } from "node:crypto";

/** Gives that many unpredictable bytes. */
export type RandomBytes = (size: number) => Uint8Array;

/** Whose mailbox began a new life, or will. */
export type Renewed = "nobody" | "one" | "all";

/** Purged users whose next epoch differs from their first one, at most. */
const MAX_PURGED = 100_000;

/**
 * Knows the epoch a mailbox will get before it exists, so that nothing has to be written for users who only connect and
 * read. An epoch is derived from a secret of this process: it stays the same while the process lives, nobody can guess
 * it, and a new process never repeats it.
 */
export class Epochs {
  readonly #random: RandomBytes;
  #secret: Uint8Array;
  // How often a user was purged: without it a mailbox would come back under the epoch its clients still remember.
  readonly #generations = new Map<string, number>();

  constructor(random: RandomBytes = randomBytes) {
    this.#random = random;
    this.#secret = random(32);
  }

  /** The epoch of the mailbox that `userId` does not have yet. */
  of(userId: string): string {
    const hmac = createHmac("sha256", this.#secret);
    hmac.update(`${this.#generations.get(userId) ?? 0}:`).update(userId);
    return hmac.digest().subarray(0, 16).toString("base64url");
  }

  /**
   * Makes the next mailbox of `userId` another one. When too many purged users would have to be remembered, those of
   * everybody without a mailbox become others with it.
   */
  renew(userId: string): Exclude<Renewed, "nobody"> {
    if (this.#generations.size >= MAX_PURGED && !this.#generations.has(userId)) {
      this.#generations.clear();
      this.#secret = this.#random(32);
      return "all";
    }
    this.#generations.set(userId, (this.#generations.get(userId) ?? 0) + 1);
    return "one";
  }
}
