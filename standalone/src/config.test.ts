import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { developmentConfig, productionConfig, tokenConfig } from "./config.ts";

const folder = mkdtempSync(join(tmpdir(), "usercast-config-"));
afterAll(() => rmSync(folder, { recursive: true }));

let files = 0;
function file(text: string): string {
  const path = join(folder, `${files++}.yaml`);
  writeFileSync(path, text);
  return path;
}

const secret = "0123456789abcdef0123456789abcdef";
const env = { USERCAST_JWT_SECRET: secret, USERCAST_API_KEYS: "shop:0123456789abcdef" };
const dev = (flags: Record<string, unknown> = {}, variables: Record<string, string> = {}) =>
  developmentConfig({ flags, env: variables });
const serve = (flags: Record<string, unknown> = {}, variables: Record<string, string> = env) =>
  productionConfig({ flags, env: variables });

describe("where settings come from", () => {
  test("development needs none", () => {
    expect(dev()).toMatchObject({
      mode: "development",
      port: 3_000,
      store: { kind: "folder", dataDir: resolve("data") },
      engineIo3: true,
      userToUser: true,
    });
  });

  test("flags go over the environment, the environment over the file", () => {
    const config = file("port: 1\nmaxPayloadBytes: 2048\nretentionMs: 1000");
    expect(dev({ config }).port).toBe(1);
    expect(dev({ config }, { PORT: "2" }).port).toBe(2);
    expect(dev({ config }, { PORT: "2", USERCAST_PORT: "3" }).port).toBe(3);
    expect(dev({ config, port: "4" }, { PORT: "2", USERCAST_PORT: "3" })).toMatchObject({
      port: 4,
      maxPayloadBytes: 2_048,
      storeLimits: { retentionMs: 1_000 },
    });
  });

  test("limits of the store and of the API are passed on", () => {
    const config = file("whenFull: reject\nmaxBatchBytes: 4096");
    expect(dev({ config }, { USERCAST_DEVICE_IDLE_MS: "1000" })).toMatchObject({
      maxBatchBytes: 4_096,
      storeLimits: { whenFull: "reject", deviceIdleMs: 1_000 },
    });
    expect(dev({ whenFull: "drop-oldest" }).storeLimits).toEqual({ whenFull: "drop-oldest" });
    expect(dev().maxBatchBytes).toBe(16_777_216);
  });

  test("the file can be named by the environment, and may be empty", () => {
    expect(dev({}, { USERCAST_CONFIG: file("port: 7") }).port).toBe(7);
    expect(dev({ config: file("# nothing yet\n") }).port).toBe(3_000);
  });

  test("an empty variable counts as not set", () => {
    expect(dev({}, { PORT: "", USERCAST_PORT: "" }).port).toBe(3_000);
  });

  test("limits that were not given are left to the library", () => {
    expect(dev()).toMatchObject({ userLimits: {}, storeLimits: {} });
    expect(Object.keys({ ...dev().userLimits, ...dev().storeLimits })).toEqual([]);
  });
});

describe("what is refused, by name", () => {
  test.each([
    ["an unknown key in the file", { config: file("prot: 1") }, {}, '"prot" in'],
    ["a dangerous key in the file", { config: file("__proto__: { port: 1 }") }, {}, '"__proto__" in'],
    ["a file that is a list", { config: file("- port") }, {}, "list of"],
    ["a file that is not YAML", { config: file("port: [") }, {}, ".yaml: "],
    ["a key written twice", { config: file("port: 1\nport: 2") }, {}, ".yaml: "],
    ["a missing file", { config: "/nowhere/usercast.yaml" }, {}, "cannot read /nowhere/usercast.yaml (ENOENT)"],
    ["an unknown variable", {}, { USERCAST_PROT: "1" }, "USERCAST_PROT: there is no such setting"],
    ["a port out of range", { port: "65536" }, {}, "--port: "],
    ["a port that is no number", {}, { PORT: "http" }, "PORT: "],
    ["a value of the wrong type", { config: file("port: '1'") }, {}, "port in "],
    ["a policy nobody knows", { whenFull: "drop-newest" }, {}, "--when-full: "],
    ["a batch of no size", { maxBatchBytes: "0" }, {}, "--max-batch-bytes: "],
    ["an unknown log level", { logLevel: "loud" }, {}, "--log-level: "],
    ["a production environment", {}, { NODE_ENV: "production" }, "usercast serve"],
  ])("%s", (_, flags, variables, message) => {
    expect(() => dev(flags, variables)).toThrow(
      expect.objectContaining({ code: "INVALID_OPTIONS", message: expect.stringContaining(message) }),
    );
  });

  test("all mistakes at once", () => {
    expect(() => dev({ port: "x" }, { USERCAST_A: "1", USERCAST_B: "2" })).toThrow(/USERCAST_A[\s\S]*USERCAST_B[\s\S]*--port/);
  });

  test("development names the settings it does without", () => {
    expect(dev({}, env).ignored).toEqual(["USERCAST_JWT_SECRET", "USERCAST_API_KEYS"]);
  });
});

describe("production", () => {
  test("says everything that is missing, in one message", () => {
    expect(() => serve({}, {})).toThrow(/USERCAST_JWT_SECRET[\s\S]*USERCAST_API_KEYS/);
  });

  test("is strict unless told otherwise", () => {
    expect(serve()).toMatchObject({
      mode: "production",
      host: undefined,
      origins: [],
      engineIo3: false,
      userToUser: false,
      registerTimeoutMs: 10_000,
      identity: { secret },
    });
    expect(serve({ engineIo3: true, userToUser: true })).toMatchObject({ engineIo3: true, userToUser: true });
  });

  test("takes secrets from files", () => {
    const identity = file(`${secret}\n`);
    const keys = file("# the shop\nshop:0123456789abcdef\n\ndesk:fedcba9876543210\n");
    const config = serve({ jwtSecretFile: identity, apiKeysFile: keys }, {});
    expect(config.identity.secret).toBe(secret);
    expect(config.apiKeys.nameOf("Bearer desk:fedcba9876543210")).toBe("desk");
  });

  test("takes a public key or a key set instead", () => {
    const { USERCAST_API_KEYS } = env;
    expect(serve({ jwtPublicKeyFile: file("PEM") }, { USERCAST_API_KEYS }).identity).toEqual({ publicKey: "PEM" });
    expect(serve({ jwtJwksUrl: "https://id.example/jwks", jwtIssuer: "id" }, { USERCAST_API_KEYS }).identity).toEqual({
      jwks: "https://id.example/jwks",
      issuer: "id",
    });
  });

  test.each([
    ["two ways to verify", { jwtJwksUrl: "https://id.example/jwks" }, env, "jwtSecret and jwtJwksUrl"],
    ["a short secret", {}, { ...env, USERCAST_JWT_SECRET: "short" }, "32 bytes"],
    ["a key set that is no address", { jwtJwksUrl: "file:///keys" }, {}, "--jwt-jwks-url: "],
    ["an API key without a secret", {}, { ...env, USERCAST_API_KEYS: "shop" }, "API key 1"],
    ["an origin with a path", { origins: "https://a.example/path" }, env, "--origins: "],
    ["an origin without a scheme", { origins: "a.example" }, env, "--origins: "],
  ])("refuses %s", (_, flags, variables, message) => {
    expect(() => serve(flags, variables)).toThrow(message);
  });

  test.each([
    { USERCAST_JWT_SECRET: "hush", USERCAST_API_KEYS: "shop:hush" },
    { USERCAST_REDIS_URL: "http://:hush@a" },
    { USERCAST_REDIS_URL: "redis://:hush@a", USERCAST_REDIS_PASSWORD: "hush" },
  ])("never quotes a secret (%#)", (variables) => {
    expect(() => serve({}, variables)).toThrow(expect.objectContaining({ message: expect.not.stringContaining("hush") }));
  });
});

describe("workers", () => {
  const redisUrl = "redis://redis:6379";

  test("there is one, who takes any client, unless more are asked for", () => {
    expect(serve()).toMatchObject({ workers: 1, transports: ["polling", "websocket"] });
    expect(serve({ workers: "4", redisUrl })).toMatchObject({ workers: 4, transports: ["websocket"] });
    expect(serve({ transports: "websocket" }).transports).toEqual(["websocket"]);
  });

  test.each([
    ["several on a folder", { workers: "2" }, "several workers need a store that they can share"],
    ["several for clients that poll", { workers: "2", redisUrl, transports: "polling,websocket" }, "transports is websocket"],
    ["none", { workers: "0" }, "--workers: "],
    ["a transport nobody knows", { transports: "smoke" }, "--transports: "],
  ])("refuses %s", (_, flags, message) => {
    expect(() => serve(flags)).toThrow(message);
  });
});

test("tokens need the secret", () => {
  expect(() => tokenConfig({ flags: {}, env: {} })).toThrow("USERCAST_JWT_SECRET");
  expect(tokenConfig({ flags: {}, env: { ...env, USERCAST_JWT_ISSUER: "id" } })).toEqual({ secret, issuer: "id" });
});
