import { randomBytes } from "node:crypto";
import { UsercastError } from "@usercast/protocol";
import type { Draft, PublishResult } from "../../ports.ts";
import { keyScope } from "../results.ts";
import { failureOf, translated } from "./errors.ts";
import { answersKey, keysOf, type UserKeys } from "./keys.ts";
import { textsOf, writeDraft } from "./rows.ts";
import type { Argument, RawAnswer } from "./scripts.ts";

/** Messages and bytes of one call of the script, at most: it holds the server up while it runs. */
const BATCH_MESSAGES = 256;
const BATCH_BYTES = 1_048_576;
/** How long the answers to a call are kept at least, for a retry whose first reply was lost. */
const ANSWERS_MS = 60_000;

/** How a `Publisher` works. */
export interface PublisherOptions {
  /** Runs `publish.lua`; rejects where it is not known what became of it. */
  readonly run: (keys: readonly string[], args: readonly Argument[]) => Promise<RawAnswer>;
  readonly prefix: string;
  /** The limits as the script takes them. */
  readonly limits: string;
  readonly command: "PUBLISH" | "SPUBLISH";
  /** Whether only messages whose keys are in one slot may share a call. */
  readonly isCluster: boolean;
  /** Milliseconds a call may take. */
  readonly timeoutMs: number;
  /** Messages that may wait for their answers; over it they fail with `OVERLOADED`. */
  readonly maxPendingWrites: number;
}

interface Waiting {
  readonly draft: Draft;
  readonly keys: UserKeys;
  readonly settle: (result: PublishResult) => void;
}

/**
 * What goes to one place, one call after the other: what arrives during a call shares the next. So messages keep their order
 * whatever becomes of a call, and a call that is repeated can be told from a new one by its number alone.
 */
interface Lane {
  /** The bucket of its keys, where calls must keep to one. */
  readonly bucket: string | undefined;
  waiting: Waiting[];
}

/** Gathers what is published in one turn of the loop, and sends it in as few calls as there can be. */
export class Publisher {
  readonly #options: PublisherOptions;
  /** Names this publisher among all that ever were. */
  readonly #caller = randomBytes(9).toString("base64url");
  /** Those that have something to do. */
  readonly #lanes = new Map<string | undefined, Lane>();
  readonly #calls = new Set<Promise<void>>();
  #number = 0;
  #pending = 0;

  constructor(options: PublisherOptions) {
    this.#options = options;
  }

  publish(draft: Draft): Promise<PublishResult> {
    const { prefix, isCluster, maxPendingWrites } = this.#options;
    if (this.#pending >= maxPendingWrites) {
      return Promise.resolve({ state: "failed", error: new UsercastError("OVERLOADED") });
    }
    this.#pending += 1;
    const keys = keysOf(prefix, draft.userId);
    const lane = this.#laneOf(isCluster ? keys.bucket : undefined);
    return new Promise((resolve) => {
      const settle = (result: PublishResult): void => {
        this.#pending -= 1;
        resolve(result);
      };
      lane.waiting.push({ draft, keys, settle });
    });
  }

  /** Resolves when everything has its answer. */
  async idle(): Promise<void> {
    while (this.#calls.size > 0) await Promise.all(this.#calls);
  }

  #laneOf(bucket: string | undefined): Lane {
    const known = this.#lanes.get(bucket);
    if (known !== undefined) return known;
    const lane: Lane = { bucket, waiting: [] };
    this.#lanes.set(bucket, lane);
    const work = this.#work(lane).finally(() => this.#calls.delete(work));
    this.#calls.add(work);
    return lane;
  }

  async #work(lane: Lane): Promise<void> {
    // What else is published in this turn of the loop comes along.
    await new Promise<void>((resolve) => setImmediate(resolve));
    while (lane.waiting.length > 0) {
      try {
        await this.#send(lane, takeBatch(lane.waiting));
      } catch (thrown) {
        const error = translated(thrown);
        // Who waited for an answer that did not come does not wait as long again.
        if (error.code === "UNAVAILABLE") for (const { settle } of lane.waiting.splice(0)) settle({ state: "failed", error });
      }
    }
    this.#lanes.delete(lane.bucket);
  }

  async #send(lane: Lane, batch: readonly Waiting[]): Promise<void> {
    const { run, prefix, limits, command, timeoutMs } = this.#options;
    this.#number += 1;
    const keys = [answersKey(prefix, lane.bucket, this.#caller)];
    const secret = randomBytes(16).toString("base64url");
    const args: Argument[] = [this.#number, Math.max(ANSWERS_MS, 2 * timeoutMs), command, limits, secret];
    for (const { draft, keys: own } of batch) {
      const use = draft.key ? own.key(keyScope(draft.from, draft.key.key)) : own.mailbox;
      keys.push(own.mailbox, own.log, own.devices, own.generation, own.store, use);
      const [header, rest, body] = writeDraft(draft);
      args.push(header, rest, own.channel, body);
    }
    try {
      const answer = await run(keys, args);
      const answers = Array.isArray(answer) ? (answer as readonly RawAnswer[]) : [];
      for (const [i, { settle }] of batch.entries()) settle(readResult(answers[i]));
    } catch (error) {
      const failed: PublishResult = { state: "failed", error: translated(error) };
      for (const { settle } of batch) settle(failed);
      throw error;
    }
  }
}

/** Takes what one call may hold, at least one message. */
function takeBatch(waiting: Waiting[]): readonly Waiting[] {
  let bytes = 0;
  let count = 0;
  for (const { draft } of waiting) {
    bytes += draft.bytes;
    if (count > 0 && (count >= BATCH_MESSAGES || bytes > BATCH_BYTES)) break;
    count += 1;
  }
  return waiting.splice(0, count);
}

/** One answer of the publish script. */
function readResult(answer: RawAnswer | undefined): PublishResult {
  const [state, epoch = "", offset, at] = textsOf(answer);
  if (state === "failed") return { state, error: failureOf(epoch) };
  if (state === "accepted" || state === "duplicate") return { state, epoch, offset: Number(offset), at: Number(at) };
  return { state: "failed", error: new UsercastError("UNAVAILABLE") };
}
