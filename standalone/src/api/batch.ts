import { setImmediate } from "node:timers/promises";
import { type ErrorCode, UsercastError } from "@usercast/protocol";
import { z } from "zod";
import { Budget } from "./budget.ts";
import { bodyLimitOf } from "./messages.ts";
import type { ApiOptions } from "./options.ts";
import { guarded, parseAs } from "./parse.ts";
import { type Route, route } from "./route.ts";
import { errorBody, idempotencyKey, namedAnswer, namedRequest, recipient, referenceTo, userId } from "./schemas.ts";
import { accepted, sendFields, sendTo, signalled } from "./send.ts";
import { splitObject, type UnreadList } from "./split.ts";

/** Sends in one call, at most. */
const MAX_SENDS = 1_000;
/** Sends begun, and characters of theirs read, before everybody else has a turn. */
const SLICE = 50;
const SLICE_LENGTH = 262_144;
/** How many of the largest bodies may be in memory at once. */
const LARGEST_AT_ONCE = 4;

const BATCH_SEND = "BatchSend";
const batchSend = namedRequest(BATCH_SEND, z.strictObject({ to: recipient, ...sendFields, key: idempotencyKey.optional() }));

// Only counted here: each of them is read and judged by itself, because a bad one fails alone.
const sends = guarded(
  (list) => {
    const { count, elements } = (list ?? { count: 0, elements: [] }) as UnreadList;
    if (count === 0) throw new UsercastError("INVALID_REQUEST", "messages must be a list of at least one send.");
    if (count > MAX_SENDS) {
      throw new UsercastError("TOO_MANY_RECIPIENTS", `The call holds ${count} sends; the server accepts ${MAX_SENDS}.`);
    }
    return elements;
  },
  { type: "array", items: { $ref: referenceTo(BATCH_SEND) }, minItems: 1, maxItems: MAX_SENDS },
);

const batch = namedRequest("Batch", z.strictObject({ messages: sends }));

const failed = namedAnswer(
  "Failed",
  z.object({
    userId: userId.meta({ description: "The user; absent where `to` is no user id, or the send could not be read." }).optional(),
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
      body: { schema: batch, maxBytes: maxBatchBytes, budget, parse: (text) => splitObject(text, MAX_SENDS) },
      answers: { 200: { description: "One result for each send; some of them may say that it failed.", schema: results } },
      errors: ["TOO_MANY_RECIPIENTS", "OVERLOADED"],
    }).answeredBy(async ({ body }) => ({ status: 200, body: { results: await sendAll(options, body.messages) } })),
  ];
}

/** What becomes of each send, in their order, in which they are also begun. */
async function sendAll({ users, maxPayloadBytes, onFailure }: ApiOptions, elements: readonly string[]): Promise<Result[]> {
  const maxLength = bodyLimitOf(maxPayloadBytes);
  // One of a kind: a full disk need not be logged a thousand times.
  const failures = new Map<ErrorCode, UsercastError>();
  const resultOf = async (text: string): Promise<Result> => {
    let element: unknown;
    try {
      element = readElement(text, maxLength);
      const { to, ...send } = parseAs(batchSend, element, { whole: "a send", part: "field" });
      return await sendTo(users, to, send, maxPayloadBytes);
    } catch (thrown) {
      const error = UsercastError.from(thrown);
      failures.set(error.code, error);
      return { ...recipientOf(element), state: "failed", error: error.toJSON() };
    }
  };
  const pending: Promise<Result>[] = [];
  let length = 0;
  for (const text of elements) {
    if (length > SLICE_LENGTH || pending.length % SLICE === SLICE - 1) {
      await setImmediate();
      length = 0;
    }
    length += text.length;
    pending.push(resultOf(text));
  }
  const results = await Promise.all(pending);
  for (const error of failures.values()) onFailure(error);
  return results;
}

/** @throws UsercastError `PAYLOAD_TOO_LARGE`, before it is read, or `MALFORMED_JSON` */
function readElement(text: string, maxLength: number): unknown {
  if (text.length > maxLength) throw new UsercastError("PAYLOAD_TOO_LARGE");
  try {
    return JSON.parse(text);
  } catch {
    throw new UsercastError("MALFORMED_JSON", "The send is not valid JSON.");
  }
}

/** Whom a send that failed was for, as far as it was read and names anybody. */
function recipientOf(element: unknown): { readonly userId?: string } {
  const to: unknown = typeof element === "object" && element !== null && "to" in element ? element.to : undefined;
  const parsed = recipient.safeParse(to);
  return parsed.success ? { userId: parsed.data } : {};
}
