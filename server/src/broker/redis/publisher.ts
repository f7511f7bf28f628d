import { randomUUID } from "node:crypto";
import { UsercastError } from "@usercast/protocol";
import type { Draft, PublishResult } from "../../ports.ts";
import { keyScope } from "../results.ts";
import { keysOf } from "./keys.ts";
import { headerOf, packBody, readResult } from "./rows.ts";
import { type RawAnswer, type RedisClient, run } from "./scripts.ts";

/** Messages and bytes of one call of the script, at most: it holds the server up while it runs. */
const BATCH_MESSAGES = 256;
const BATCH_BYTES = 1_048_576;
/** How long the answers to a call are kept for a retry whose first reply was lost. */
const ANSWERS_MS = 60_000;

/** How a `Publisher` works. */
export interface PublisherOptions {
  readonly client: RedisClient;
  readonly prefix: string;
  /** Limits, as the script takes them. */
  readonly limits: () => string;
  readonly command: "PUBLISH" | "SPUBLISH";
  /** Whether messages of several users may not share a call, because their keys may be on several nodes. */
  readonly isCluster: boolean;
  /** Messages that may wait for their answers; over it they fail with `OVERLOADED`. */
  readonly maxPendingWrites: number;
  readonly unavailable: (cause: unknown) => UsercastError;
}

interface Waiting {
  readonly draft: Draft;
  readonly settle: (result: PublishResult) => void;
}

/** Gathers what is published in one turn of the loop, and sends it in as few calls as there can be. */
export class Publisher {
  readonly #options: PublisherOptions;
  #waiting: Waiting[] = [];
  readonly #calls = new Set<Promise<void>>();
  #pending = 0;

  constructor(options: PublisherOptions) {
    this.#options = options;
  }

  publish(draft: Draft): Promise<PublishResult> {
    if (this.#pending >= this.#options.maxPendingWrites) {
      return Promise.resolve({ state: "failed", error: new UsercastError("OVERLOADED") });
    }
    this.#pending += 1;
    if (this.#waiting.length === 0) setImmediate(() => this.#flush());
    return new Promise((resolve) => {
      const settle = (result: PublishResult): void => {
        this.#pending -= 1;
        resolve(result);
      };
      this.#waiting.push({ draft, settle });
    });
  }

  /** Resolves when everything has its answer. */
  async idle(): Promise<void> {
    if (this.#waiting.length > 0) this.#flush();
    await Promise.all(this.#calls);
  }

  #flush(): void {
    const { isCluster } = this.#options;
    const batches = new Map<string, Waiting[]>();
    let [messages, bytes, number] = [0, 0, 0];
    for (const waiting of this.#waiting) {
      const { draft } = waiting;
      if (!isCluster && messages > 0 && (messages >= BATCH_MESSAGES || bytes + draft.bytes > BATCH_BYTES)) {
        [messages, bytes] = [0, 0];
        number += 1;
      }
      messages += 1;
      bytes += draft.bytes;
      const batch = isCluster ? draft.userId : String(number);
      const known = batches.get(batch);
      if (known === undefined) batches.set(batch, [waiting]);
      else known.push(waiting);
    }
    this.#waiting = [];
    for (const batch of batches.values()) {
      const call = this.#send(batch).finally(() => this.#calls.delete(call));
      this.#calls.add(call);
    }
  }

  async #send(batch: readonly Waiting[]): Promise<void> {
    const { client, prefix, limits, command, unavailable } = this.#options;
    const keys: string[] = [];
    const args: (string | number | Buffer)[] = [ANSWERS_MS, limits(), command];
    for (const { draft } of batch) {
      const own = keysOf(prefix, draft.userId);
      if (keys.length === 0) keys.push(own.answers(randomUUID()));
      const { body, parts } = packBody(draft);
      keys.push(own.mailbox, own.log, own.devices, own.generation, own.key(keyScope(draft.from, draft.key?.key ?? "")));
      args.push(headerOf(draft, parts), own.channel, body);
    }
    try {
      const answers = (await run(client, "publish", keys, args)) as readonly RawAnswer[];
      const unknown = new UsercastError("INTERNAL");
      for (const [i, { settle }] of batch.entries()) settle(readResult(answers[i], unknown));
    } catch (error) {
      const reason = unavailable(error);
      for (const { settle } of batch) settle({ state: "failed", error: reason });
    }
  }
}
