import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { once } from "node:events";
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { SignJWT } from "jose";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { type JwtOptions, jwt } from "./jwt.ts";

interface IssuerKey {
  readonly kid: string;
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}

const issuerKey = (kid: string): IssuerKey => ({ kid, ...generateKeyPairSync("ec", { namedCurve: "P-256" }) });
const code = (expected: string) => expect.objectContaining({ name: "UsercastError", code: expected });
const tokenOf = ({ kid, privateKey }: IssuerKey): Promise<string> =>
  new SignJWT({ sub: "ana" }).setProtectedHeader({ alg: "ES256", kid }).setExpirationTime("2h").sign(privateKey);

const first = issuerKey("first");
const second = issuerKey("second");

/** An issuer over real HTTP, whose published keys and manners a test can change. */
class Issuer {
  keys: readonly IssuerKey[] = [first];
  fetches = 0;
  respond: RequestListener = (_, response) => {
    response.end(
      JSON.stringify({ keys: this.keys.map(({ kid, publicKey }) => ({ ...publicKey.export({ format: "jwk" }), kid })) }),
    );
  };
  #server: Server | undefined;
  #port = 0;

  get url(): string {
    return `http://127.0.0.1:${this.#port}/keys`;
  }

  async up(): Promise<void> {
    this.#server = createServer((request, response) => {
      this.fetches += 1;
      this.respond(request, response);
    });
    this.#server.listen(this.#port, "127.0.0.1");
    await once(this.#server, "listening");
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  async down(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) return;
    server.closeAllConnections();
    await new Promise((closed) => server.close(closed));
  }
}

let issuer: Issuer;
const verifier = (options: Partial<JwtOptions> = {}) => jwt({ jwks: issuer.url, ...options }).verifyToken;
const pass = (ms: number) => vi.setSystemTime(Date.now() + ms);

beforeEach(async () => {
  // Only the calendar is ours: fetches and their timeouts are real.
  vi.useFakeTimers({ toFake: ["Date"] });
  issuer = new Issuer();
  await issuer.up();
});

afterEach(async () => {
  vi.useRealTimers();
  await issuer.down();
});

it("fetches the key set once for many tokens", async () => {
  const verify = verifier();
  const tokens = await Promise.all(Array.from({ length: 20 }, () => tokenOf(first)));
  expect(await Promise.all(tokens.map(verify))).toHaveLength(20);
  expect(issuer.fetches).toBe(1);
});

it("fetches a new key when a token names it", async () => {
  const verify = verifier({ jwksCooldownMs: 30_000 });
  await verify(await tokenOf(first));
  issuer.keys = [first, second];
  pass(30_001);
  expect(await verify(await tokenOf(second))).toMatchObject({ userId: "ana" });
  expect(await verify(await tokenOf(first))).toMatchObject({ userId: "ana" });
  expect(issuer.fetches).toBe(2);
});

it("fetches at most once in a cooldown, however many unknown keys tokens name", async () => {
  const verify = verifier({ jwksCooldownMs: 30_000 });
  await verify(await tokenOf(first));
  for (let round = 0; round < 2; round++) {
    pass(30_001);
    for (let n = 0; n < 5; n++) {
      const forged = await tokenOf({ ...second, kid: `made up ${n}` });
      for (const result of await Promise.allSettled([verify(forged), verify(forged)])) {
        expect(result).toMatchObject({ status: "rejected", reason: { code: "TOKEN_INVALID" } });
      }
    }
  }
  expect(issuer.fetches).toBe(3);
});

it("stops accepting a withdrawn key when the key set is old", async () => {
  const verify = verifier({ jwksMaxAgeMs: 600_000 });
  const token = await tokenOf(first);
  await verify(token);
  issuer.keys = [second];
  pass(599_000);
  expect(await verify(token)).toMatchObject({ userId: "ana" });
  pass(1_001);
  await expect(verify(token)).rejects.toThrow(code("TOKEN_INVALID"));
});

it("says UNAVAILABLE while the issuer is down, and recovers", async () => {
  const verify = verifier({ jwksRetryMs: 1_000 });
  const token = await tokenOf(first);
  await issuer.down();
  await expect(verify(token)).rejects.toMatchObject({ code: "UNAVAILABLE", retryable: true });
  await issuer.up();
  pass(1_001);
  expect(await verify(token)).toMatchObject({ userId: "ana" });
});

it("keeps serving known keys while the issuer is down", async () => {
  const verify = verifier({ jwksCooldownMs: 30_000 });
  const token = await tokenOf(first);
  await verify(token);
  await issuer.down();
  pass(30_001);
  // Whether the unknown key is new or made up cannot be known now.
  await expect(verify(await tokenOf(second))).rejects.toThrow(code("UNAVAILABLE"));
  expect(await verify(token)).toMatchObject({ userId: "ana" });
});

const page: RequestListener = (_, response) => response.end("<!doctype html>");
const odd: RequestListener = (_, response) => response.end('{"keys":"none"}');
const broken: RequestListener = (_, response) => response.writeHead(500).end();
const moved: RequestListener = (_, response) => response.writeHead(302, { location: issuer.url }).end();

it.each([
  ["no JSON", page],
  ["no key set", odd],
  ["an error", broken],
  ["a redirect", moved],
])("asks an issuer that answers with %s once in jwksRetryMs", async (_, respond) => {
  const verify = verifier({ jwksRetryMs: 1_000 });
  const token = await tokenOf(first);
  issuer.respond = respond;
  for (const fetches of [1, 2]) {
    for (let attempt = 0; attempt < 5; attempt++) await expect(verify(token)).rejects.toThrow(code("UNAVAILABLE"));
    expect(issuer.fetches).toBe(fetches);
    pass(1_001);
  }
});

it("waits no longer than jwksTimeoutMs for an issuer that does not answer", { timeout: 2_500 }, async () => {
  issuer.respond = () => {};
  await expect(verifier({ jwksTimeoutMs: 50 })(await tokenOf(first))).rejects.toThrow(code("UNAVAILABLE"));
});
