import { parseEvent, parseTtl, parseUserId, UsercastError } from "@usercast/protocol";
import type { Usercast } from "@usercast/server";
import { type Context, Hono } from "hono";
import { z } from "zod";
import { readJson } from "./body.ts";
import { type Env, methods, rawPathOf } from "./http.ts";

/** What the HTTP API needs of the library. */
export type Users = Pick<Usercast, "to" | "presence" | "connections" | "disconnect">;

/**
 * How much larger than its message a request may be: other languages' JSON writes `é` as `\u00e9`, three times its bytes,
 * and the library counts the message as it will travel. The rest is for the fields around it.
 */
const bodyLimitOf = (maxPayloadBytes: number): number => 3 * maxPayloadBytes + 8_192;

// Event and time to live keep codes of their own, so their values are for the guards to judge.
const sendSchema = z.strictObject({
  event: z.unknown().optional(),
  data: z.unknown(),
  ttl: z.unknown().optional(),
  volatile: z.boolean().optional(),
});

/** The routes under `/v1`. */
export function createApi(users: Users, maxPayloadBytes: number): Hono<Env> {
  const api = new Hono<Env>();
  methods(api, "/v1/users/:id{[^/]*}/messages", { POST: (context) => send(users, context, maxPayloadBytes) });
  methods(api, "/v1/users/:id{[^/]*}/connections", { DELETE: (context) => closeConnections(users, context) });
  methods(api, "/v1/users/:id{[^/]*}", { GET: (context) => describeUser(users, context) });
  return api;
}

/**
 * `POST /v1/users/{id}/messages`. 201 when the message is kept, 200 when it was kept before under the same key, and 202 for a
 * volatile one: it went to whoever is connected, and nobody will know.
 */
async function send(users: Users, context: Context<Env>, maxPayloadBytes: number): Promise<Response> {
  const userId = userIdOf(context);
  const key = idempotencyKeyOf(context);
  const body = parseSend(await readJson(context.env.incoming, bodyLimitOf(maxPayloadBytes)));
  const event = parseEvent(body.event === undefined ? "message" : body.event);
  const ttlMs = body.ttl === undefined ? undefined : parseTtl(body.ttl, Number.MAX_SAFE_INTEGER);
  if (body.volatile === true) {
    if (key !== undefined || ttlMs !== undefined) throw new UsercastError("IDEMPOTENCY_KEY_ON_VOLATILE");
    checkSize(event, body.data, maxPayloadBytes);
    users.to(userId).volatile.emit(event, body.data);
    return context.json({ userId, state: "signalled" }, 202);
  }
  let target = users.to(userId);
  if (ttlMs !== undefined) target = target.ttl(ttlMs);
  if (key !== undefined) target = target.idempotencyKey(key);
  const { state, epoch, offset, at } = await target.emit(event, body.data);
  return context.json({ userId, state, epoch, offset, at }, state === "duplicate" ? 200 : 201);
}

/** `GET /v1/users/{id}`: presence, and each connection. */
async function describeUser(users: Users, context: Context<Env>): Promise<Response> {
  const userId = userIdOf(context);
  const [{ online, devices, lastSeen }, connections] = await Promise.all([users.presence(userId), users.connections(userId)]);
  return context.json({
    userId,
    online,
    lastSeen,
    devices,
    connections: connections.map(({ userId: _, ...connection }) => connection),
  });
}

/** `DELETE /v1/users/{id}/connections`: closes them for good and says how many there were. */
async function closeConnections(users: Users, context: Context<Env>): Promise<Response> {
  const userId = userIdOf(context);
  return context.json({ userId, closed: await users.disconnect(userId, {}) });
}

/** The id in the path, decoded exactly once: `%2e%2e` and `%252F` are ids like any other. */
function userIdOf(context: Context<Env>): string {
  const segment = rawPathOf(context.env.incoming).split("/")[3] ?? "";
  let id: string;
  try {
    id = decodeURIComponent(segment);
  } catch {
    throw new UsercastError("INVALID_USER_ID", "The user id in the path is not valid percent-encoded UTF-8.");
  }
  return parseUserId(id);
}

/** A header written twice would arrive joined, as a key nobody chose. */
function idempotencyKeyOf(context: Context<Env>): string | undefined {
  const values = context.env.incoming.headersDistinct["idempotency-key"];
  if (values !== undefined && values.length !== 1) {
    throw new UsercastError("INVALID_IDEMPOTENCY_KEY", "The Idempotency-Key header is given more than once.");
  }
  return values?.[0];
}

function parseSend(body: unknown): z.output<typeof sendSchema> {
  const parsed = sendSchema.safeParse(body);
  if (parsed.success && Object.hasOwn(parsed.data, "data")) return parsed.data;
  const problems = parsed.error?.issues.map(({ code, path, message, ...issue }) => {
    if (code === "unrecognized_keys" && "keys" in issue) return `unknown fields ${JSON.stringify(issue.keys)}`;
    return path.length === 0 ? "the body must be an object" : `${path.join(".")}: ${message}`;
  });
  throw new UsercastError("INVALID_REQUEST", `${problems?.join("; ") ?? 'the field "data" is missing; null is a value too'}.`);
}

/** A volatile send reports nothing back, so what could not be sent is found here. */
function checkSize(event: string, data: unknown, maxPayloadBytes: number): void {
  let text: string;
  try {
    text = JSON.stringify([event, data]);
  } catch (error) {
    throw new UsercastError("INVALID_DATA", undefined, { cause: error });
  }
  if (Buffer.byteLength(text) - 2 > maxPayloadBytes) throw new UsercastError("PAYLOAD_TOO_LARGE");
}
