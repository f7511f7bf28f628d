import { UsercastError } from "@usercast/protocol";

/** What one transaction takes, at most: it runs on the thread that also serves connections. The more there are, the more share a page. */
const BATCH_WRITES = 1_024;
const BATCH_BYTES = 4 * 1_048_576;

/** Something to be written. */
export interface Write<Transaction, T> {
  /** Bytes it adds, roughly. */
  readonly bytes: number;
  /** Does it, in a transaction that others share. */
  readonly apply: (transaction: Transaction) => T;
  /** Told when it is on disk, before anything later is. */
  readonly committed: (value: T) => void;
}

/** Something that waits to be written, and hears what becomes of it. */
export interface Waiting<Transaction> {
  /** Bytes it adds, roughly. */
  readonly bytes: number;
  /** Does it, in a transaction that others share. */
  apply(transaction: Transaction): void;
  /** It is on disk, and nothing later is. */
  committed(): void;
  /** `STORE_FAILED` when it is not on disk, and nothing of it will be; `OVERLOADED` when too many wait. */
  failed(error: UsercastError): void;
}

/** Commits a batch of writes: calls each with the transaction they share, in order, and resolves when it is on disk. */
export type Commit<Transaction> = <T>(applyAll: (transaction: Transaction) => T) => Promise<T>;

/**
 * Group commit: while one transaction is on its way to disk the next one gathers, so that many senders share a flush
 * and a lone one never waits for company.
 */
export class Writer<Transaction> {
  readonly #commit: Commit<Transaction>;
  readonly #maxPending: number;
  #waiting: Waiting<Transaction>[] = [];
  #running: Promise<void> | undefined;

  constructor(commit: Commit<Transaction>, maxPending: number) {
    this.#commit = commit;
    this.#maxPending = maxPending;
  }

  /**
   * Resolves when the write is on disk. Writes are applied in the order of the calls.
   * @throws UsercastError `STORE_FAILED` when it is not, and nothing of it will be; `OVERLOADED` when too many wait
   */
  write<T>({ bytes, apply, committed }: Write<Transaction, T>): Promise<T> {
    return new Promise((resolve, reject) => {
      let value: T;
      this.add({
        bytes,
        apply: (transaction) => {
          value = apply(transaction);
        },
        committed: () => {
          committed(value);
          resolve(value);
        },
        failed: reject,
      });
    });
  }

  /** The same for one that knows itself what to do: without a promise, because this is done for every message. */
  add(waiting: Waiting<Transaction>): void {
    if (this.#waiting.length >= this.#maxPending) {
      waiting.failed(new UsercastError("OVERLOADED"));
      return;
    }
    this.#waiting.push(waiting);
    this.#running ??= this.#run();
  }

  /** Resolves when nothing is being written or waits to be. */
  async idle(): Promise<void> {
    while (this.#running) await this.#running;
  }

  async #run(): Promise<void> {
    while (this.#waiting.length > 0) {
      let batch: readonly Waiting<Transaction>[] = [];
      try {
        await this.#commit((transaction) => {
          batch = this.#take(); // only now, so that whatever came while the transaction was begun is in it
          for (const one of batch) one.apply(transaction);
        });
      } catch (error) {
        const failure = new UsercastError("STORE_FAILED", undefined, { cause: await causeOf(error) });
        // Those that waited fail too: a sender's second message must not get in when its first did not.
        for (const one of [...batch, ...this.#waiting.splice(0)]) one.failed(failure);
        continue;
      }
      for (const one of batch) one.committed();
    }
    this.#running = undefined;
  }

  #take(): readonly Waiting<Transaction>[] {
    let bytes = 0;
    let count = 0;
    while (count < this.#waiting.length && count < BATCH_WRITES && bytes < BATCH_BYTES)
      bytes += this.#waiting[count++]?.bytes ?? 0;
    const batch = this.#waiting.slice(0, count);
    this.#waiting = this.#waiting.slice(count);
    return batch;
  }
}

/** What LMDB knows of a failed commit. It tells it in a promise of its own, which must be looked at in any case. */
async function causeOf(error: unknown): Promise<unknown> {
  const { commitError } = error as { readonly commitError?: Promise<unknown> };
  if (!commitError) return error;
  return new Promise((resolve) => {
    commitError.then(resolve, resolve);
    setImmediate(() => resolve(error));
  });
}
