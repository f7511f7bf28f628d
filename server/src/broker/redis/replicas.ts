import { UsercastError } from "@usercast/protocol";
import { type Argument, evaluate, invocation, type RawAnswer, type RedisClient } from "./scripts.ts";

/** How many replicas must have what was published, and in which time. */
export interface Replicated {
  readonly replicas: number;
  readonly timeoutMs: number;
}

/**
 * Publishes and waits for replicas, on one connection: Redis answers for what came on the same one.
 * @throws UsercastError `UNAVAILABLE` where too few have it in time; it may be accepted all the same
 */
export async function publishReplicated(
  client: RedisClient,
  keys: readonly string[],
  args: readonly Argument[],
  { replicas, timeoutMs }: Replicated,
): Promise<RawAnswer> {
  // Short of the whole time, so that what is known is told.
  const waitMs = Math.ceil(timeoutMs * 0.8);
  const [published, waited] =
    (await client.pipeline([invocation("publish", keys, args), ["wait", replicas, waitMs]]).exec()) ?? [];
  const [failure, answer] = published ?? [new Error("no answer")];
  if (failure !== null) {
    if (!failure.message.startsWith("NOSCRIPT")) throw failure;
    await evaluate(client, "publish", keys, args);
    return publishReplicated(client, keys, args, { replicas, timeoutMs });
  }
  const [waitFailure, count] = waited ?? [new Error("no answer")];
  if (waitFailure !== null) throw waitFailure;
  if (Number(count) < replicas) {
    const message = `Only ${Number(count)} of ${replicas} replicas have the message; it may be accepted all the same.`;
    throw new UsercastError("UNAVAILABLE", message);
  }
  return answer as RawAnswer;
}
