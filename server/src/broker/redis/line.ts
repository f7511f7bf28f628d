import { UsercastError } from "@usercast/protocol";
import { Cluster } from "ioredis";
import { isElsewhere, isReply, translated } from "./errors.ts";
import { type Argument, evaluate, type RawAnswer, type RedisClient, type ScriptName } from "./scripts.ts";

/** How a `Line` works. */
export interface LineOptions {
  readonly client: RedisClient;
  /** Milliseconds a call may take, waiting for a connection included. */
  readonly timeoutMs: number;
  readonly warn: (message: string) => void;
}

/** How long a lost connection may be away before calls fail at once: a connection that was cut is back sooner. */
const GRACE_MS = 1_000;
/** Between two tries of a call that another server is to take over. */
const AGAIN_MS = 100;

/** The connection on which calls go. Every call ends in time, and none waits for a server that is known to be away. */
export class Line {
  readonly client: RedisClient;
  readonly #options: LineOptions;
  /** Since when there is no connection. */
  #lostAt: number | undefined;
  #isWarned = false;
  #isClosed = false;
  readonly #waiting = new Set<() => void>();
  readonly #calls = new Set<Promise<unknown>>();
  readonly #listeners = new Set<(isAvailable: boolean) => void>();
  /** What they were told last. */
  #isAvailable = true;
  #graceTimer: NodeJS.Timeout | undefined;

  constructor(options: LineOptions) {
    this.client = options.client;
    this.#options = options;
    this.client.on("ready", () => this.#found());
    this.client.on("close", () => this.#lost());
    this.client.on("error", (error: unknown) => this.#lost(error));
  }

  /** Whether calls have a chance to be answered. */
  get isUp(): boolean {
    return this.client.status === "ready";
  }

  /**
   * Tells when calls begin to fail because the connection is away, and when there is one again; until the returned function is called. Of a
   * cluster that is all of it: a master that is away concerns some users only.
   */
  onAvailability(listener: (isAvailable: boolean) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Runs a script. It may run again when its answer was lost, so it MUST come to the same then.
   * @throws UsercastError `UNAVAILABLE` when there is no answer in time, or what the error of Redis' means
   */
  run(name: ScriptName, keys: readonly string[], args: readonly Argument[]): Promise<RawAnswer> {
    return this.call((client) => evaluate(client, name, keys, args));
  }

  /**
   * Calls Redis in any way that comes to the same when it is repeated.
   * @throws UsercastError as `run`
   */
  call<T>(send: (client: RedisClient) => Promise<T>): Promise<T> {
    const call = this.#inTime(send).finally(() => this.#calls.delete(call));
    this.#calls.add(call);
    return call;
  }

  /** Resolves when every call has ended. */
  async idle(): Promise<void> {
    await Promise.allSettled(this.#calls);
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#graceTimer);
    for (const proceed of this.#waiting) proceed();
    this.client.disconnect();
  }

  async #inTime<T>(send: (client: RedisClient) => Promise<T>): Promise<T> {
    const { timeoutMs } = this.#options;
    let timer: NodeJS.Timeout | undefined;
    let isOver = false;
    const timeout = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        isOver = true;
        // Whoever comes now need not wait as long to learn the same.
        if (!this.isUp) this.#lostAt = 0;
        reject(new UsercastError("UNAVAILABLE", `Redis did not answer within ${timeoutMs} ms.`));
      }, timeoutMs);
    });
    try {
      return await Promise.race([this.#untilAnswered(send, () => isOver), timeout]);
    } finally {
      clearTimeout(timer);
    }
  }

  async #untilAnswered<T>(send: (client: RedisClient) => Promise<T>, isOver: () => boolean): Promise<T> {
    for (;;) {
      await this.#connected();
      if (isOver()) throw new UsercastError("UNAVAILABLE");
      try {
        return await send(this.client);
      } catch (error) {
        if (isElsewhere(error)) await this.#moveOn();
        // What an answer was found to say is ours.
        else if (isReply(error) || error instanceof UsercastError || this.#isClosed) throw translated(error);
        // Nothing tells whether it arrived, so it is sent again; a connection that fails without closing has its turn first.
        else if (this.isUp) await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
        if (isOver()) throw translated(error);
      }
    }
  }

  /**
   * What was the master is a replica now: Sentinels and cluster say where the new one is. A cluster's client asks by itself only where a
   * command came alone, not where a pipeline was refused and the `WAIT` in it was not.
   */
  async #moveOn(): Promise<void> {
    if (this.client instanceof Cluster) this.client.refreshSlotsCache();
    else if ("sentinels" in this.client.options && this.client.options.sentinels) this.client.disconnect(true);
    await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
  }

  /** Waits for the connection, as long as it has not been away for long. */
  async #connected(): Promise<void> {
    if (this.isUp) return;
    const leftMs = (this.#lostAt ?? Date.now()) + GRACE_MS - Date.now();
    if (leftMs > 0 && !this.#isClosed) {
      await new Promise<void>((resolve) => {
        const proceed = (): void => {
          clearTimeout(timer);
          this.#waiting.delete(proceed);
          resolve();
        };
        const timer = setTimeout(proceed, leftMs);
        this.#waiting.add(proceed);
      });
    }
    if (!this.isUp) throw new UsercastError(this.#isClosed ? "SERVER_CLOSED" : "UNAVAILABLE");
  }

  #found(): void {
    this.#lostAt = undefined;
    this.#isWarned = false;
    clearTimeout(this.#graceTimer);
    this.#graceTimer = undefined;
    this.#tell(true);
    for (const proceed of this.#waiting) proceed();
  }

  #lost(cause?: unknown): void {
    if (this.#isClosed) return;
    if (!this.isUp) {
      this.#lostAt ??= Date.now();
      this.#graceTimer ??= setTimeout(() => this.#tell(false), GRACE_MS).unref();
    }
    if (cause === undefined || this.#isWarned) return;
    this.#isWarned = true;
    this.#options.warn(`Redis cannot be reached, so messages are refused until it is back: ${String(cause)}`);
  }

  #tell(isAvailable: boolean): void {
    if (isAvailable === this.#isAvailable) return;
    this.#isAvailable = isAvailable;
    for (const listener of this.#listeners) listener(isAvailable);
  }
}
