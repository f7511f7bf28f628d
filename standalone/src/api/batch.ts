import { setImmediate } from "node:timers/promises";
import { type ErrorCode, UsercastError } from "@usercast/protocol";
import { z } from "zod";
import { Budget } from "./budget.ts";
import type { ApiOptions } from "./options.ts";
import { guarded, parseAs } from "./parse.ts";
import { type Route, route } from "./route.ts";
import { errorBody, idempotencyKey, namedAnswer, namedRequest, recipient, referenceTo, userId } from "./schemas.ts";
import { accepted, sendFields, sendTo, signalled } from "./send.ts";

/** Sends in one call, at most. */
const MAX_SENDS = 1_000;
/** Sends begun before everybody else has a turn. */
const SLICE = 50;
/** How many of the largest bodies may be in memory at once. */
const LARGEST_AT_ONCE = 4;

const BATCH_SEND = "BatchSend";
const batchSend = namedRequest(BATCH_SEND, z.strictObject({ to: recipient, ...sendFields, key: idempotencyKey.optional() }));

// Only counted here: each of them is judged by itself, because a bad one fails alone.
const sends = guarded(
  (value): readonly unknown[] => {
    if (!Array.isArray(value) || value.length === 0) {
      throw new UsercastError("INVALID_REQUEST", "messages must be a list of at least one send.");
    }
    if (value.length > MAX_SENDS) {
      throw new UsercastError("TOO_MANY_RECIPIENTS", `The call holds ${value.length} sends; the server accepts ${MAX_SENDS}.`);
    }
    return value;
  },
  { type: "array", items: { $ref: referenceTo(BATCH_SEND) }, minItems: 1, maxItems: MAX_SENDS },
);

const batch = namedRequest("Batch", z.strictObject({ messages: sends }));

const failed = namedAnswer(
  "Failed",
  z.object({
    userId: userId.meta({ description: "The user; absent where `to` is no user id." }).optional(),
    state: z.literal("failed"),
    error: errorBody,
  }),
);

const results = namedAnswer(
  "BatchResults",
  z.object({
    results: z
      .array(z.union([accepted, signalled, failed]))
      .meta({ description: "What became of each send, in the order of the request." }),
  }),
);

type Result = z.output<typeof results>["results"][number];

/** `/v1/messages`: many sends in one call. */
export function batchRoutes(options: ApiOptions): readonly Route[] {
  const { maxBatchBytes } = options;
  const budget = new Budget(LARGEST_AT_ONCE * maxBatchBytes);
  return [
    route({
      method: "POST",
      path: "/v1/messages",
      id: "sendMessages",
      summary: "Send up to 1,000 messages, each with a result of its own",
      description: "Several sends to one user keep their order. A send that fails does not keep the others from being sent.",
      body: { schema: batch, maxBytes: maxBatchBytes, budget },
      answers: { 200: { description: "One result for each send; some of them may say that it failed.", schema: results } },
      errors: ["TOO_MANY_RECIPIENTS", "OVERLOADED"],
    }).answeredBy(async ({ body }) => ({ status: 200, body: { results: await sendAll(options, body.messages) } })),
  ];
}

/** What becomes of each element, in their order, in which they are also begun. */
async function sendAll({ users, maxPayloadBytes, onFailure }: ApiOptions, elements: readonly unknown[]): Promise<Result[]> {
  // One of a kind: a full disk need not be logged a thousand times.
  const failures = new Map<ErrorCode, UsercastError>();
  const resultOf = async (element: unknown): Promise<Result> => {
    try {
      const { to, ...send } = parseAs(batchSend, element, { whole: "a send", part: "field" });
      return await sendTo(users, to, send, maxPayloadBytes);
    } catch (thrown) {
      const error = UsercastError.from(thrown);
      failures.set(error.code, error);
      return { ...recipientOf(element), state: "failed", error: error.toJSON() };
    }
  };
  const pending: Promise<Result>[] = [];
  for (const element of elements) {
    if (pending.length > 0 && pending.length % SLICE === 0) await setImmediate();
    pending.push(resultOf(element));
  }
  const results = await Promise.all(pending);
  for (const error of failures.values()) onFailure(error);
  return results;
}

/** Whom a send that failed was for, as far as it names anybody. */
function recipientOf(element: unknown): { readonly userId?: string } {
  const to: unknown = typeof element === "object" && element !== null && "to" in element ? element.to : undefined;
  const parsed = recipient.safeParse(to);
  return parsed.success ? { userId: parsed.data } : {};
}
