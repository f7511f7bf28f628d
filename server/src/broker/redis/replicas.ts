import { UsercastError } from "@usercast/protocol";
import { type Argument, evaluate, invocation, type RawAnswer, type RedisClient } from "./scripts.ts";

/** How many replicas must have what was published, whether on their disks, and in which time. */
export interface Replicated {
  readonly replicas: number;
  /** On the server's own disk, too. */
  readonly isFlushed: boolean;
  readonly timeoutMs: number;
}

/**
 * Publishes and waits for replicas or disks, on one connection: Redis answers for what came on the same one.
 * @throws UsercastError `UNAVAILABLE` where too few have it in time; it may be accepted all the same
 */
export async function publishReplicated(
  client: RedisClient,
  keys: readonly string[],
  args: readonly Argument[],
  demands: Replicated,
): Promise<RawAnswer> {
  const { replicas, isFlushed, timeoutMs } = demands;
  // Short of the whole time, so that what is known is told.
  const waitMs = Math.ceil(timeoutMs * 0.8);
  const wait = isFlushed ? ["waitaof", 1, replicas, waitMs] : ["wait", replicas, waitMs];
  const [published, waited] = (await client.pipeline([invocation("publish", keys, args), wait]).exec()) ?? [];
  const [failure, answer] = published ?? [new Error("no answer")];
  if (failure !== null) {
    if (!failure.message.startsWith("NOSCRIPT")) throw failure;
    await evaluate(client, "publish", keys, args);
    return publishReplicated(client, keys, args, demands);
  }
  const [waitFailure, counts] = waited ?? [new Error("no answer")];
  if (waitFailure !== null) throw waitFailure;
  const [own, others] = Array.isArray(counts) ? counts.map(Number) : [1, Number(counts)];
  if (own === 0 || (others ?? 0) < replicas) {
    const who = own === 0 ? "The server has not flushed" : `Only ${others} of ${replicas} replicas have`;
    throw new UsercastError("UNAVAILABLE", `${who} the message; it may be accepted all the same.`);
  }
  return answer as RawAnswer;
}
