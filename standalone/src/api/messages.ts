import { UsercastError } from "@usercast/protocol";
import { z } from "zod";
import { toJsonData } from "./binary.ts";
import type { ApiOptions } from "./options.ts";
import { guarded } from "./parse.ts";
import { type Route, route } from "./route.ts";
import {
  binary,
  count,
  devices,
  epoch,
  idempotencyKey,
  namedAnswer,
  namedRequest,
  position,
  time,
  userId,
  userInPath,
  wholeOfText,
} from "./schemas.ts";
import { accepted, SEND_ERRORS, sendFields, sendTo, signalled } from "./send.ts";

const send = namedRequest("Send", z.strictObject(sendFields));

interface NumberInQuery {
  readonly name: string;
  readonly min: number;
  readonly max: number;
  readonly fallback: number;
  readonly description: string;
}

/** A number in a query; text that is none is as far out of range as one that is too large. */
const numberInQuery = ({ name, min, max, fallback, description }: NumberInQuery) =>
  guarded(
    (text) => {
      const value = wholeOfText(text);
      if (value === undefined || value < min || value > max) {
        throw new UsercastError("INVALID_POSITION", `${name} must be a whole number from ${min} to ${max}.`);
      }
      return value;
    },
    { type: "integer", minimum: min, maximum: max, description },
  )
    .default(fallback)
    .meta({ default: fallback });

const pageQuery = z.strictObject({
  after: numberInQuery({
    name: "after",
    min: 0,
    max: Number.MAX_SAFE_INTEGER,
    fallback: 0,
    description: "The messages after this offset; those from the oldest kept where it is 0.",
  }),
  limit: numberInQuery({
    name: "limit",
    min: 1,
    max: 1_000,
    fallback: 100,
    description: "Messages in the page, at most. A page ends at about a mebibyte, too.",
  }),
});

const storedMessage = namedAnswer(
  "StoredMessage",
  z.object({
    offset: count("The message's place in the mailbox."),
    at: time("When it was accepted"),
    expiresAt: time("When it expires"),
    event: z.string(),
    data: z.unknown().meta({ description: 'What was sent; binary data is `{ "base64": "…" }`.' }),
    binary,
    from: z.string().meta({ description: "The user who sent it; absent when a back end did." }).optional(),
    key: z.string().meta({ description: "The sender's idempotency key." }).optional(),
    devices: devices.optional(),
  }),
);

const page = namedAnswer(
  "MailboxPage",
  z.object({
    userId,
    epoch,
    head: position.meta({ description: "The newest place of the mailbox." }),
    messages: z.array(storedMessage),
    through: count("Read on after this offset; equal to the head's when there is nothing more."),
  }),
);

/**
 * How much larger than its message a request may be: other languages' JSON writes `é` as `\u00e9`, three times its bytes,
 * and the library counts the message as it will travel. The rest is for the fields around it.
 */
export const bodyLimitOf = (maxPayloadBytes: number): number => 3 * maxPayloadBytes + 8_192;

/** `/v1/users/{id}/messages`: one send to the user, and what the mailbox holds. */
export const messageRoutes = ({ users, maxPayloadBytes }: ApiOptions): readonly Route[] => [
  route({
    method: "GET",
    path: "/v1/users/{id}/messages",
    id: "readMailbox",
    summary: "Read a page of a user's mailbox",
    description: "Reading confirms nothing and takes nothing away. A user without messages has an empty page.",
    parameters: { id: userInPath },
    query: pageQuery,
    answers: { 200: { description: "Messages that are kept and have not expired, in order.", schema: page } },
    errors: ["INVALID_USER_ID", "INVALID_POSITION", "STORE_FAILED", "SERVER_CLOSED", "UNAVAILABLE"],
  }).answeredBy(async ({ path, query }) => {
    const { epoch, head, messages, through } = await users.mailbox(path.id).read(query);
    const readable = messages.map(({ data, ...message }) => ({ ...message, ...toJsonData(data) }));
    return { status: 200, body: { userId: path.id, epoch, head, messages: readable, through } };
  }),
  route({
    method: "POST",
    path: "/v1/users/{id}/messages",
    id: "sendMessage",
    summary: "Send a message to a user",
    parameters: { id: userInPath },
    idempotencyKey,
    body: { schema: send, maxBytes: bodyLimitOf(maxPayloadBytes) },
    answers: {
      201: { description: "Kept: on disk, with its place in the mailbox.", schema: accepted },
      200: { description: "The idempotency key had taken effect before, at this place.", schema: accepted },
      202: { description: "A signal went to whoever is connected.", schema: signalled },
    },
    errors: SEND_ERRORS,
  }).answeredBy(async ({ path, idempotencyKey: key, body }) => {
    const sent = await sendTo(users, path.id, { ...body, key }, maxPayloadBytes);
    if (sent.state === "signalled") return { status: 202, body: sent };
    return { status: sent.state === "duplicate" ? 200 : 201, body: sent };
  }),
];
