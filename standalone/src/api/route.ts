import { type ErrorCode, UsercastError } from "@usercast/protocol";
import type { Context, Hono } from "hono";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import type { z } from "zod";
import { type ParseText, readJson } from "../body.ts";
import { type Env, methods, rawPathOf } from "../http.ts";
import type { Budget } from "./budget.ts";
import { parseAs } from "./parse.ts";

/** The body a route takes. */
export interface Body<Schema extends z.ZodType = z.ZodType> {
  readonly schema: Schema;
  readonly maxBytes: number;
  /** Reads the text; all of it at once where this is missing. */
  readonly parse?: ParseText;
  /** What all bodies of the route that are being worked on share. */
  readonly budget?: Budget;
}

/** One way a route answers when all is well; without a schema there is no body. */
export interface Answer<Schema extends z.ZodType = z.ZodType> {
  readonly description: string;
  readonly schema?: Schema;
}

type Parameters = Readonly<Record<string, z.ZodType>>;
type Answers = Readonly<Record<number, Answer>>;

/** What the document says of a route. */
interface Documented<Path extends Parameters, Query extends z.ZodObject, Payload extends z.ZodType, Replies extends Answers> {
  readonly method: "GET" | "POST" | "DELETE";
  /** As OpenAPI writes it: `/v1/users/{id}`. */
  readonly path: string;
  /** The operation's name, for generated clients. */
  readonly id: string;
  readonly summary: string;
  readonly description?: string;
  /** What stands in braces in the path, each judged as it came over the wire. */
  readonly parameters?: Path;
  readonly query?: Query;
  readonly body?: Body<Payload>;
  /** Whether the route takes the header `Idempotency-Key`. */
  readonly idempotencyKey?: z.ZodType<string>;
  readonly answers: Replies;
  /** Codes beside those that follow from the parts above. */
  readonly errors: readonly ErrorCode[];
  /** Whether it needs no API key. */
  readonly isPublic?: boolean;
}

/** What a handler is given. */
interface Call<Path extends Parameters, Query extends z.ZodObject, Payload extends z.ZodType> {
  readonly path: { readonly [Name in keyof Path]: z.output<Path[Name]> };
  readonly query: z.output<Query>;
  readonly body: z.output<Payload>;
  readonly idempotencyKey: string | undefined;
}

/** What is written out is not changed any more: lists of the library's may be passed on as they are. */
type Written<T> = T extends readonly (infer Item)[]
  ? readonly Written<Item>[]
  : T extends object
    ? { readonly [Name in keyof T]: Written<T[Name]> }
    : T;

/** A status of those the route names, and a body that fits it. */
type Reply<Replies extends Answers> = {
  [Status in keyof Replies & number]: Replies[Status] extends { readonly schema: infer Schema extends z.ZodType }
    ? { readonly status: Status; readonly body: Written<z.output<Schema>> }
    : { readonly status: Status };
}[keyof Replies & number];

/** One method at one address: what the server answers by, and what the document says of it. */
export interface Route extends Documented<Parameters, z.ZodObject, z.ZodType, Answers> {
  readonly answer: (context: Context<Env>) => Promise<Response>;
}

/** A description that waits for the function behind it; the two are held to each other by their types. */
interface Unanswered<Path extends Parameters, Query extends z.ZodObject, Payload extends z.ZodType, Replies extends Answers> {
  /** The route, once it is known how it answers. */
  answeredBy(handle: (call: Call<Path, Query, Payload>) => Promise<Reply<Replies>>): Route;
}

/** Begins a route with its description. */
export function route<
  const Path extends Parameters,
  Query extends z.ZodObject,
  Payload extends z.ZodType,
  const Replies extends Answers,
>(described: Documented<Path, Query, Payload, Replies>): Unanswered<Path, Query, Payload, Replies> {
  return { answeredBy: (handle) => ({ ...described, answer: (context) => answerTo(context, described, handle) }) };
}

/** Judges everything a request brings, in the order in which it comes, and lets `handle` answer. */
async function answerTo<Path extends Parameters, Query extends z.ZodObject, Payload extends z.ZodType, Replies extends Answers>(
  context: Context<Env>,
  described: Documented<Path, Query, Payload, Replies>,
  handle: (call: Call<Path, Query, Payload>) => Promise<Reply<Replies>>,
): Promise<Response> {
  const { incoming } = context.env;
  const path = parametersOf(described, rawPathOf(incoming)) as Call<Path, Query, Payload>["path"];
  const idempotencyKey = idempotencyKeyOf(described, context);
  const query = queryOf(described, incoming.url ?? "") as z.output<Query>;
  const { body } = described;
  const release = body?.budget?.take(incoming, body.maxBytes);
  try {
    const payload =
      body && parseAs(body.schema, await readJson(incoming, body.maxBytes, body.parse), { whole: "the body", part: "field" });
    const reply = await handle({ path, query, body: payload as z.output<Payload>, idempotencyKey });
    context.header("Cache-Control", "no-store");
    if (!("body" in reply)) return context.body(null, reply.status as 204);
    return context.json(reply.body as object, reply.status as ContentfulStatusCode);
  } finally {
    release?.();
  }
}

/** Puts routes into the application, and refusals of the methods that an address does not take. */
export function mount(app: Hono<Env>, routes: readonly Route[]): void {
  for (const path of new Set(routes.map((one) => one.path))) {
    // Empty segments match as well: an id that is none is told so.
    const pattern = path.replace(/\{(\w+)\}/g, ":$1{[^/]*}");
    const here = routes.filter((one) => one.path === path);
    methods(app, pattern, Object.fromEntries(here.map(({ method, answer }) => [method, answer])));
  }
}

const PLACE = /^\{(\w+)\}$/;

function parametersOf(
  { path, parameters = {} }: { path: string; parameters?: Parameters },
  raw: string,
): Record<string, unknown> {
  const segments = raw.split("/");
  const values: Record<string, unknown> = {};
  for (const [index, place] of path.split("/").entries()) {
    const name = PLACE.exec(place)?.[1];
    const schema = name === undefined ? undefined : parameters[name];
    if (name !== undefined && schema !== undefined) {
      values[name] = parseAs(schema, segments[index] ?? "", { whole: "the path", part: "segment" });
    }
  }
  return values;
}

/** A query that was ignored would let its writer believe in it; at a public address it is what caches and probes add. */
function queryOf({ query, isPublic }: { query?: z.ZodObject; isPublic?: boolean }, url: string): unknown {
  const start = url.indexOf("?");
  if (start === -1) return query === undefined ? undefined : parseAs(query, {}, QUERY_WORDS);
  if (query === undefined) {
    if (isPublic) return undefined;
    throw new UsercastError("INVALID_REQUEST", "This address takes no query parameters.");
  }
  const given = new Map<string, string>();
  for (const [name, value] of new URLSearchParams(url.slice(start))) {
    if (given.has(name) && Object.hasOwn(query.shape, name)) {
      throw new UsercastError("INVALID_REQUEST", `The query parameter ${name} is given more than once.`);
    }
    given.set(name, value);
  }
  return parseAs(query, Object.fromEntries(given), QUERY_WORDS);
}

const QUERY_WORDS = { whole: "the query", part: "query parameter" };

/** A header written twice would arrive joined, as a key nobody chose; one that was ignored would let its writer rely on it. */
function idempotencyKeyOf(
  { method, idempotencyKey }: { readonly method: string; readonly idempotencyKey?: z.ZodType<string> },
  context: Context<Env>,
): string | undefined {
  const values = context.env.incoming.headersDistinct["idempotency-key"];
  // What is no POST can be repeated anyway.
  if (values === undefined || method !== "POST") return undefined;
  if (idempotencyKey === undefined) throw new UsercastError("INVALID_REQUEST", "This address takes no Idempotency-Key header.");
  if (values.length !== 1)
    throw new UsercastError("INVALID_IDEMPOTENCY_KEY", "The Idempotency-Key header is given more than once.");
  return parseAs(idempotencyKey, values[0], { whole: "the header", part: "header" });
}
