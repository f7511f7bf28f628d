import {
  isOffset,
  LIMITS,
  PLAIN_DEVICE,
  parseDeviceId,
  parseEvent,
  parseIdempotencyKey,
  parseTimeout,
  parseTtl,
  parseUserId,
  UsercastError,
} from "@usercast/protocol";
import { z } from "zod";
import { guarded, type JsonSchema } from "./parse.ts";

// What several calls take or answer. The document about the API is made of these, and requests are judged by them.

/** Schemas of bodies that have a name in the document, where others refer to them by it. */
export const requestSchemas = z.registry<{ readonly id: string }>();
/** Likewise of answers: what is written out need not be what is taken in. */
export const answerSchemas = z.registry<{ readonly id: string }>();

/** A body under a name of its own. */
export function namedRequest<Schema extends z.ZodType>(id: string, schema: Schema): Schema {
  requestSchemas.add(schema, { id });
  return schema;
}

/** An answer under a name of its own. */
export function namedAnswer<Schema extends z.ZodType>(id: string, schema: Schema): Schema {
  answerSchemas.add(schema, { id });
  return schema;
}

/** Where the document keeps the schema of this name. */
export const referenceTo = (id: string): string => `#/components/schemas/${id}`;

/** The longest time to live: 366 days. */
const MAX_TTL_MS = 366 * 86_400_000;
/** The longest that a caller over HTTP can wait for an answer: proxies and clients give up soon after. */
const MAX_WAIT_MS = 60_000;

const DURATION_PATTERN = "^\\d{1,12}(?:\\.\\d{1,3})?\\s*(?:ms|s|m|h|d)$";

const durationJson = (maximum: number, description: string): JsonSchema => ({
  anyOf: [
    { type: "integer", minimum: 1, maximum },
    { type: "string", pattern: DURATION_PATTERN },
  ],
  description,
});

const USER_ID_JSON = { type: "string", minLength: 1, maxLength: LIMITS.userIdBytes } as const;

/** A segment of a path, decoded exactly once: `%2e%2e` and `%252F` are ids like any other. */
function decoded(segment: unknown): string | undefined {
  try {
    return decodeURIComponent(String(segment));
  } catch {
    return undefined;
  }
}

/** The user in a path. */
export const userInPath = guarded(
  (segment) => {
    const id = decoded(segment);
    if (id === undefined) {
      throw new UsercastError("INVALID_USER_ID", "The user id in the path is not valid percent-encoded UTF-8.");
    }
    return parseUserId(id);
  },
  {
    ...USER_ID_JSON,
    description:
      "The user: one segment of percent-encoded UTF-8, decoded exactly once. 1 to 512 bytes, well-formed, without control characters.",
  },
);

/** A whole number written as text, for paths and queries; without signs, spaces, leading zeros and other ways to write it. */
export function wholeOfText(text: unknown): number | undefined {
  const value = typeof text === "string" && /^(?:0|[1-9]\d{0,15})$/.test(text) ? Number(text) : undefined;
  return isOffset(value) ? value : undefined;
}

/** An offset in a path. */
export const offsetInPath = guarded(
  (segment) => {
    const offset = wholeOfText(decoded(segment));
    if (offset === undefined || offset === 0) {
      throw new UsercastError("INVALID_POSITION", "The offset in the path must be a whole number from 1 up.");
    }
    return offset;
  },
  { type: "integer", minimum: 1, description: "The message's place in the mailbox." },
);

/** The recipient of one of several sends. */
export const recipient = guarded(parseUserId, {
  ...USER_ID_JSON,
  type: ["string", "integer"],
  description: "The user: text of 1 to 512 bytes of UTF-8, well-formed and without control characters, or a whole number.",
});

/** The name of an event. */
export const eventName = guarded(parseEvent, {
  type: "string",
  minLength: 1,
  maxLength: LIMITS.eventBytes,
  description: "The event's name, 1 to 256 bytes of UTF-8; none of Socket.IO's own, and nothing that begins with `usercast:`.",
});

/** What is sent. */
export const anyJson = z.unknown().meta({ description: "Any JSON value, `null` included." });

/** How long a message is kept. */
export const timeToLive = guarded(
  (value) => parseTtl(value, MAX_TTL_MS),
  durationJson(
    MAX_TTL_MS,
    'How long the message is kept: milliseconds, or text such as `"90s"`, `"1h"`, `"7d"`; never longer than the server\'s retention.',
  ),
);

/** How long to wait for an answer. */
export const answerTimeout = guarded(
  (value) => {
    const timeoutMs = parseTimeout(value);
    if (timeoutMs > MAX_WAIT_MS) {
      throw new UsercastError("INVALID_TIMEOUT", `Over HTTP a timeout is at most ${MAX_WAIT_MS} ms.`);
    }
    return timeoutMs;
  },
  durationJson(
    MAX_WAIT_MS,
    'How long to wait: milliseconds, or text such as `"5s"`; at most a minute. 10 seconds where it is missing.',
  ),
);

/** The key that makes a send take effect once. */
export const idempotencyKey = guarded(parseIdempotencyKey, {
  type: "string",
  pattern: `^[ -~]{1,${LIMITS.keyBytes}}$`,
  description: "Makes the send take effect once within the key's life, however often it is repeated with this key and content.",
});

const deviceJson = (description: string): JsonSchema => ({
  type: "string",
  pattern: `^[A-Za-z0-9_-]{1,${LIMITS.deviceIdLength}}$`,
  description,
});

/** All clients without the SDK are one device, which nobody can call their own, and which can be sent to. */
const parseTargetDevice = (value: unknown): string => (value === PLAIN_DEVICE ? PLAIN_DEVICE : parseDeviceId(value));

/** The one device that something is for. */
export const onlyDevice = guarded(
  parseTargetDevice,
  deviceJson("Only for this device of the user's; `plain` is every client without the SDK."),
);

/** The one device that something is not for. */
export const exceptDevice = guarded(
  parseTargetDevice,
  deviceJson("For all of the user's devices but this one; `plain` is every client without the SDK."),
);

/** A number from 0 up in an answer. */
export const count = (description: string) => z.int().min(0).meta({ description });

/** A time in an answer. */
export const time = (description: string) => count(`${description}, in milliseconds since 1970.`);

/** The user an answer is about. */
export const userId = z.string().meta({ description: "The user." });

/** A mailbox's life in an answer. */
export const epoch = z.string().meta({ description: "A random id of the mailbox's life; another one after a purge." });

/** Where JSON stands for bytes. */
export const binary = z
  .array(z.string())
  .meta({
    description:
      'JSON Pointers into `data`, to each `{ "base64": "…" }` that stands for binary data; absent where there is none.',
  })
  .optional();

/** Which devices a message is for. */
export const devices = z
  .union([z.object({ only: z.string() }), z.object({ except: z.string() })])
  .meta({ description: "Which devices the message is for, where it is not for all." });

/** A place in a mailbox. */
export const position = namedAnswer(
  "Position",
  z.object({ epoch, offset: count("The place; 0 before the first message."), at: time("When that message was accepted") }),
);

/** An error in an answer that holds more than one thing. */
export const errorBody = namedAnswer(
  "ErrorBody",
  z.object({
    code: z.string().meta({ description: "A stable code." }),
    message: z.string().meta({ description: "A sentence for the person who reads the log; it may change." }),
  }),
);
