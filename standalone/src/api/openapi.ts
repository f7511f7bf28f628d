import { ERRORS, type ErrorCode } from "@usercast/protocol";
import { z } from "zod";
import { VERSION } from "../version.ts";
import type { JsonSchema } from "./parse.ts";
import { type Answer, type Body, type Route, route } from "./route.ts";
import { answerSchemas, referenceTo, requestSchemas } from "./schemas.ts";

const SECURITY = "apiKey";

const DESCRIPTION =
  "Send messages to users over HTTP, see what became of them, and ask users' connections. " +
  "Every error is `{ error: { code, message } }`: compare codes, which stay. In development mode no API key is needed.";

/** What any call can be answered, whatever it asks for. */
const ALWAYS: readonly ErrorCode[] = ["HOST_NOT_ALLOWED", "ORIGIN_NOT_ALLOWED", "INTERNAL"];
/** What any body can be refused with. */
const OF_BODIES: readonly ErrorCode[] = ["INVALID_REQUEST", "MALFORMED_JSON", "PAYLOAD_TOO_LARGE", "UNSUPPORTED_MEDIA_TYPE"];

/** `/openapi.json`: the document about `routes`, and about itself. */
export function openApiRoute(routes: readonly Route[]): Route {
  let document: JsonSchema | undefined;
  const own: Route = route({
    method: "GET",
    path: "/openapi.json",
    id: "openapi",
    summary: "This document",
    isPublic: true,
    answers: { 200: { description: "The OpenAPI 3.1 document of the API.", schema: z.looseObject({ openapi: z.string() }) } },
    errors: [],
  }).answeredBy(async () => {
    document ??= documentOf([...routes, own]);
    return { status: 200, body: { ...document, openapi: OPENAPI_VERSION } };
  });
  return own;
}

const OPENAPI_VERSION = "3.1.1";

/** The document about routes, made of what they judge requests by. */
function documentOf(routes: readonly Route[]): JsonSchema {
  const paths: Record<string, Record<string, JsonSchema>> = {};
  for (const one of routes) {
    const methods = paths[one.path] ?? {};
    methods[one.method.toLowerCase()] = operationOf(one);
    paths[one.path] = methods;
  }
  return {
    openapi: OPENAPI_VERSION,
    info: { title: "Usercast", version: VERSION, description: DESCRIPTION, license: { name: "MIT", identifier: "MIT" } },
    paths,
    components: {
      schemas: { ...namedSchemas(requestSchemas, "input"), ...namedSchemas(answerSchemas, "output") },
      securitySchemes: {
        [SECURITY]: {
          type: "http",
          scheme: "bearer",
          description: "`Authorization: Bearer name:secret`, one of the server's API keys.",
        },
      },
    },
  };
}

function operationOf(one: Route): JsonSchema {
  const { id, summary, description, body, isPublic, answers } = one;
  const parameters = parametersOf(one);
  return {
    operationId: id,
    summary,
    ...(description !== undefined && { description }),
    security: isPublic === true ? [] : [{ [SECURITY]: [] }],
    ...(parameters.length > 0 && { parameters }),
    ...(body && { requestBody: { required: true, content: { "application/json": { schema: bodySchema(body) } } } }),
    responses: {
      ...Object.fromEntries(Object.entries(answers).map(([status, answer]) => [status, responseOf(answer)])),
      ...errorResponses(one),
    },
  };
}

function parametersOf({ parameters = {}, query, idempotencyKey }: Route): readonly JsonSchema[] {
  const list = [
    ...Object.entries(parameters).map(([name, schema]) => parameter("path", name, schema)),
    ...Object.entries(query?.shape ?? {}).map(([name, schema]) => parameter("query", name, schema)),
  ];
  if (idempotencyKey) list.push(parameter("header", "Idempotency-Key", idempotencyKey));
  return list;
}

function parameter(place: "path" | "query" | "header", name: string, of: z.core.$ZodType): JsonSchema {
  const { description, ...schema } = inline(of, "input", requestSchemas);
  return { name, in: place, required: place === "path", description, schema };
}

const bodySchema = ({ schema }: Body): JsonSchema => inline(schema, "input", requestSchemas);

const responseOf = ({ description, schema }: Answer): JsonSchema => ({
  description,
  ...(schema && { content: { "application/json": { schema: inline(schema, "output", answerSchemas) } } }),
});

/** One answer for each status, with the codes that have it. */
function errorResponses({ errors, body, isPublic }: Route): Readonly<Record<string, JsonSchema>> {
  const codes = new Set<ErrorCode>([...errors, ...(body ? OF_BODIES : [])]);
  if (isPublic !== true) codes.add("UNAUTHORIZED").add("INVALID_REQUEST");
  for (const code of ALWAYS) codes.add(code);
  const statuses = new Set([...codes].map((code) => ERRORS[code].status));
  return Object.fromEntries(
    [...statuses].map((status) => [status, errorResponse([...codes].filter((code) => ERRORS[code].status === status))]),
  );
}

const errorResponse = (codes: readonly ErrorCode[]): JsonSchema => ({
  description: codes.map((code) => `\`${code}\`: ${ERRORS[code].message}`).join("\n\n"),
  content: { "application/json": { schema: errorSchema(codes) } },
});

const errorSchema = (codes: readonly ErrorCode[]): JsonSchema => ({
  type: "object",
  properties: {
    error: {
      type: "object",
      properties: { code: { type: "string", enum: codes }, message: { type: "string" } },
      required: ["code", "message"],
    },
  },
  required: ["error"],
});

type Direction = "input" | "output";
type Registry = typeof requestSchemas;

/**
 * Answers may grow: a reader that takes nothing but today's fields would break on it. Requests are refused for a field
 * nobody knows, and the document says so.
 */
const openUp = ({ jsonSchema }: { readonly jsonSchema: z.core.JSONSchema.BaseSchema }, direction: Direction): void => {
  if (direction === "output" && jsonSchema.additionalProperties === false) delete jsonSchema.additionalProperties;
};

function namedSchemas(registry: Registry, direction: Direction): Readonly<Record<string, JsonSchema>> {
  const { schemas } = z.toJSONSchema(registry, {
    io: direction,
    uri: referenceTo,
    override: (context) => openUp(context, direction),
  });
  return Object.fromEntries(Object.entries(schemas).map(([id, schema]) => [id, bare(schema)]));
}

/** A schema where it is used: a reference, if it has a name. */
function inline(schema: z.core.$ZodType, direction: Direction, registry: Registry): JsonSchema {
  const id = registry.get(schema)?.id;
  if (id !== undefined) return { $ref: referenceTo(id) };
  // Unions are written here, so that what they are made of is referred to; anything else has no names in it.
  if (schema instanceof z.ZodUnion) return { anyOf: schema.options.map((option) => inline(option, direction, registry)) };
  return bare(z.toJSONSchema(schema, { io: direction, override: (context) => openUp(context, direction) }));
}

/** Without what names a document of its own: this one is part of another. */
function bare({ $schema: _schema, $id: _id, ...schema }: JsonSchema): JsonSchema {
  return schema;
}
