import { readFileSync } from "node:fs";
import { Validator } from "@seriousme/openapi-schema-validator";
import { ERRORS, isErrorCode } from "@usercast/protocol";
import { pino } from "pino";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { createRouter } from "../src/app.ts";
import { loopbackPolicy } from "../src/policy.ts";
import { type Answer, type Call, call, device, pagesFolder, registered, startDevelopment, startProduction } from "./harness.ts";

type Json = Record<string, unknown>;

interface Operation {
  readonly operationId: string;
  readonly security: readonly Json[];
  readonly parameters?: readonly { readonly name: string; readonly in: string }[];
  readonly responses: Readonly<Record<string, { readonly content?: { readonly "application/json": { readonly schema: Json } } }>>;
}

interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, Json>> };
}

const documentOf = async (port: number): Promise<Document> => (await call(port, "/openapi.json")).json;

const operationsOf = ({ paths }: Document) =>
  Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method: method.toUpperCase(), operation })),
  );

describe("/openapi.json", () => {
  test("is a valid OpenAPI 3.1 document, open to everybody", async () => {
    const { port } = await startProduction();
    const answer = await call(port, "/openapi.json");
    expect(answer.status).toBe(200);
    expect(await new Validator().validate(structuredClone(answer.json))).toEqual({ valid: true });
    expect(answer.json.openapi).toBe("3.1.1");
  });

  test("has every route the server answers by, and no other", async () => {
    const { port } = await startDevelopment();
    const written = operationsOf(await documentOf(port)).map(({ method, path }) => `${method} ${path}`);
    const router = createRouter({
      users: {} as never,
      policy: loopbackPolicy,
      log: pino({ level: "silent" }),
      maxPayloadBytes: 1,
      maxBatchBytes: 1,
      apiKeys: undefined,
      checkReady: async () => {},
      pages: { dir: pagesFolder(), all: true, portOf: () => 0 },
    });
    const pages = new Set(["/", "/plain.html", "/usercast.js"]);
    const routed = router.routes
      .filter(({ method, path }) => method !== "ALL" && !pages.has(path))
      .map(({ method, path }) => `${method} ${path.replace(/:(\w+)\{[^}]*\}/g, "{$1}")}`);
    expect(routed.length).toBeGreaterThan(10);
    expect([...written].sort()).toEqual([...routed].sort());
  });

  test("says of every address which methods it takes", async () => {
    const { port } = await startDevelopment();
    const { paths } = await documentOf(port);
    for (const [path, methods] of Object.entries(paths)) {
      const { status, headers } = await call(port, path.replace("{id}", "ana").replace("{offset}", "1"), { method: "PUT" });
      const allowed = headers.allow?.split(", ").filter((method) => method !== "HEAD");
      expect([path, status, allowed?.sort()]).toEqual([
        path,
        405,
        Object.keys(methods)
          .map((method) => method.toUpperCase())
          .sort(),
      ]);
    }
  });

  test("names every operation once, every part of a path, and every code with its own status", async () => {
    const { port } = await startDevelopment();
    const operations = operationsOf(await documentOf(port));
    const ids = operations.map(({ operation }) => operation.operationId);
    expect(new Set(ids).size).toBe(ids.length);
    for (const { path, operation } of operations) {
      const inPath = operation.parameters?.filter((one) => one.in === "path").map(({ name }) => name) ?? [];
      expect(inPath).toEqual([...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name));
      expect(operation.security).toEqual(path.startsWith("/v1/") ? [{ apiKey: [] }] : []);
      for (const [status, { content }] of Object.entries(operation.responses)) {
        const codes = codesIn(content?.["application/json"].schema);
        for (const code of codes) expect([code, ERRORS[code].status]).toEqual([code, Number(status)]);
      }
    }
  });

  test("stands beside a page that names every call", async () => {
    const { port } = await startDevelopment();
    const page = readFileSync(new URL("../../docs/http-api.md", import.meta.url), "utf8");
    const calls = operationsOf(await documentOf(port)).map(({ method, path }) => `\`${method} ${path}\``);
    expect(calls.filter((one) => !page.includes(one))).toEqual([]);
  });
});

describe("real answers are what the document says", () => {
  test("of every call and its mistakes", async () => {
    const { port } = await startDevelopment({ maxMailboxMessages: "3" });
    const document = await documentOf(port);
    const hold = holder(port, document, { id: "ana", offset: "1" });
    const phone = await device(port, "ana", "phone");
    phone.answers((_, data) => ({ ok: true, data }));
    const plain = await registered(port, "ana");
    plain.onAny((_event: string, data: unknown, reply?: (answer: unknown) => void) => reply?.(data));

    const MESSAGES = "/v1/users/{id}/messages";
    await hold("POST", MESSAGES, 201, { body: { data: 1 } });
    await hold("POST", MESSAGES, 201, { body: { data: 2, device: "phone", ttl: "1h" }, headers: { "idempotency-key": "k" } });
    await hold("POST", MESSAGES, 200, { body: { data: 2, device: "phone", ttl: "1h" }, headers: { "idempotency-key": "k" } });
    await hold("POST", MESSAGES, 409, { body: { data: 3 }, headers: { "idempotency-key": "k" } });
    await hold("POST", MESSAGES, 202, { body: { data: 1, volatile: true } });
    await hold("POST", MESSAGES, 400, { body: { data: 1, ttl: 0 } });
    await hold("POST", MESSAGES, 400, { body: "{", headers: { "content-type": "application/json" } });
    await hold("POST", MESSAGES, 413, { body: { data: "x".repeat(65_536) } });
    await hold("POST", MESSAGES, 415, { body: "1", headers: { "content-type": "text/plain" } });
    await hold("POST", MESSAGES, 403, { body: { data: 1 }, headers: { host: "evil.example" } });
    await hold("POST", "/v1/messages", 200, {
      body: { messages: [{ to: "ana", data: 1 }, { to: "ana", data: 1, volatile: true }, { to: "" }, 7] },
    });
    await hold("POST", "/v1/messages", 400, { body: { messages: Array(1_001).fill(0) } });
    await hold("POST", "/v1/messages", 400, { body: { messages: [] } });
    await hold("GET", MESSAGES, 200);
    await hold("GET", MESSAGES, 400, { query: "?limit=0" });
    await hold("GET", MESSAGES, 400, { query: "?nothing=0" });
    await hold("POST", "/v1/users/{id}/questions", 200, { body: { event: "e", data: 1 } });
    await hold("POST", "/v1/users/{id}/questions", 200, { body: { event: "e", data: 1, mode: "all" } });
    await hold("POST", "/v1/users/{id}/questions", 409, { body: { event: "e", data: 1, device: "watch" } });
    await hold("POST", "/v1/users/{id}/questions", 400, { body: { event: "e", data: 1, timeout: 0 } });
    plain.offAny();
    await hold("POST", "/v1/users/{id}/questions", 504, { body: { event: "e", data: 1, mode: "newest", timeout: 20 } });
    const TRACE = "/v1/users/{id}/messages/{offset}/trace";
    await hold("GET", TRACE, 200);
    await hold("GET", TRACE, 404, { at: { offset: "99" } });
    await hold("GET", TRACE, 400, { at: { offset: "x" } });
    await hold("GET", "/v1/users/{id}", 200);
    await hold("GET", "/v1/users/{id}", 400, { at: { id: "%" } });
    await hold("GET", "/v1/stats", 200);
    await hold("GET", "/healthz", 200);
    await hold("GET", "/readyz", 200);
    await hold("GET", "/openapi.json", 200);
    await hold("DELETE", "/v1/users/{id}/connections", 200);
    await hold("DELETE", "/v1/users/{id}", 204);
  });

  test("of a call without a key", async () => {
    const { port } = await startProduction();
    const document = await documentOf(port);
    const hold = holder(port, document, { id: "ana", offset: "1" });
    for (const { path, method } of operationsOf(document)) if (path.startsWith("/v1/")) await hold(method, path, 401);
  });
});

interface Held extends Call {
  readonly query?: string;
  /** What stands in the path, where it is not what stands there otherwise. */
  readonly at?: Readonly<Record<string, string>>;
}

/** Calls an address, and holds the answer against what the document says of it, to the last field. */
const holder =
  (port: number, document: Document, names: Readonly<Record<string, string>>) =>
  async (method: string, path: string, status: number, { query = "", at, ...options }: Held = {}): Promise<Answer> => {
    const address = path.replace(/\{(\w+)\}/g, (_, name: string) => at?.[name] ?? names[name] ?? "");
    const answer = await call(port, address + query, { ...options, method });
    expect([method, path, answer.status]).toEqual([method, path, status]);
    const response = document.paths[path]?.[method.toLowerCase()]?.responses[status];
    expect([method, path, status, response]).not.toEqual([method, path, status, undefined]);
    const schema = response?.content?.["application/json"].schema;
    if (schema === undefined) expect(answer.text).toBe("");
    else expect([method, path, judge(document, schema).safeParse(answer.json).error?.issues]).toEqual([method, path, undefined]);
    return answer;
  };

/** What a schema of the document takes, and nothing beside it: a field the document does not have is a mistake here. */
function judge({ components }: Document, schema: Json): z.ZodType {
  const isFree = (one: Json): boolean => one["additionalProperties"] !== undefined;
  const close = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(close);
    if (typeof value !== "object" || value === null) return value;
    const closed: Json = Object.fromEntries(Object.entries(value).map(([name, one]) => [name, close(one)]));
    return "properties" in closed && !isFree(closed) ? { ...closed, additionalProperties: false } : closed;
  };
  const text = JSON.stringify({ ...(close(schema) as Json), $defs: close(components.schemas) });
  return z.fromJSONSchema(JSON.parse(text.replaceAll("#/components/schemas/", "#/$defs/")));
}

function codesIn(schema: Json | undefined): readonly (keyof typeof ERRORS)[] {
  const codes = [...JSON.stringify(schema ?? {}).matchAll(/"([A-Z][A-Z_]+)"/g)].map(([, code]) => code);
  return codes.filter(isErrorCode);
}
