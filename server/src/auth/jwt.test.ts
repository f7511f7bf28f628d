import { generateKeyPairSync, type KeyObject, webcrypto } from "node:crypto";
import { LIMITS } from "@usercast/protocol";
import { base64url, type JWK, type JWTPayload, SignJWT } from "jose";
import type { Socket } from "socket.io";
import { describe, expect, it } from "vitest";
import { type JwtOptions, jwt } from "./jwt.ts";
import { identify } from "./verify.ts";

const SECRET = "a shared secret of 32 bytes or more";
const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
const ec = generateKeyPairSync("ec", { namedCurve: "P-256" });
const ed = generateKeyPairSync("ed25519");

// Made once for these tests: a certificate, and a token of its key that is good until 2100.
const CERTIFICATE = `-----BEGIN CERTIFICATE-----
MIIBejCCAR+gAwIBAgIUVgbpxffLDAE6Xu+nnSCxydD8DU8wCgYIKoZIzj0EAwIw
ETEPMA0GA1UEAwwGaXNzdWVyMCAXDTI2MTEyMzAxMjEwOFoYDzIxMjYxMDMwMDEy
MTA4WjARMQ8wDQYDVQQDDAZpc3N1ZXIwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNC
AATWXLczXkk5T+ikMvsM3HD+g7keRMW8IrwSASYPN2alya+7zYgyAN+Df92keja0
XZMD4aQ3LL/pIA5obTgbUqXto1MwUTAdBgNVHQ4EFgQU9z33ON9KNPRGgyExozpR
qbot1z4wHwYDVR0jBBgwFoAU9z33ON9KNPRGgyExozpRqbot1z4wDwYDVR0TAQH/
BAUwAwEB/zAKBggqhkjOPQQDAgNJADBGAiEA3QQ5UwhDfO33JbVGmo2kZfRGIZUI
hzwiMSnit5PiimkCIQCtTGPKL6GnGwNa5LBS5nm1uOFB91phKm0yhMmbpRCJsQ==
-----END CERTIFICATE-----`;
const CERTIFIED_TOKEN =
  "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbmEiLCJleHAiOjQxMDI0NDQ4MDB9.UCNKT2gqLW7z8k1NM3bmimZ2oxhjvEapC_gfet4LLxp5CKwrN-frEAaCwvUXAADwGtjwi7ZCSWlUhEWu6IJ33A";

type SigningKey = KeyObject | Uint8Array;

const bytes = (text: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(text);
const pem = (key: KeyObject): string => key.export({ type: "spki", format: "pem" }).toString();
const jwk = (key: KeyObject): JWK => key.export({ format: "jwk" }) as JWK;
const code = (expected: string) => expect.objectContaining({ name: "UsercastError", code: expected });
const inSeconds = (seconds: number): number => Math.floor(Date.now() / 1_000) + seconds;

const sign = (claims: JWTPayload, alg = "HS256", key: SigningKey = bytes(SECRET)): Promise<string> =>
  new SignJWT(claims).setProtectedHeader({ alg }).sign(key);

/** Signs header and claims as they are written, also such as jose would not write. */
async function signText(header: string, claims: string): Promise<string> {
  const text = `${base64url.encode(header)}.${base64url.encode(claims)}`;
  const key = await webcrypto.subtle.importKey("raw", bytes(SECRET), { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  return `${text}.${base64url.encode(new Uint8Array(await webcrypto.subtle.sign("HMAC", key, bytes(text))))}`;
}

describe("a good token", () => {
  it.each<[string, string, JwtOptions, SigningKey]>([
    ["a shared secret", "HS256", { secret: SECRET }, bytes(SECRET)],
    ["a secret in bytes", "HS256", { secret: bytes(SECRET) }, bytes(SECRET)],
    ["an RSA key in PEM", "RS256", { publicKey: pem(rsa.publicKey) }, rsa.privateKey],
    ["an RSA key as JWK", "RS256", { publicKey: jwk(rsa.publicKey) }, rsa.privateKey],
    ["an EC key in PEM", "ES256", { publicKey: pem(ec.publicKey) }, ec.privateKey],
    ["an EC key as KeyObject", "ES256", { publicKey: ec.publicKey }, ec.privateKey],
    ["an Ed25519 key in PEM", "EdDSA", { publicKey: pem(ed.publicKey) }, ed.privateKey],
    ["an Ed25519 key under its newer name", "Ed25519", { publicKey: ed.publicKey }, ed.privateKey],
    ["a key set", "RS256", { jwks: { keys: [jwk(rsa.publicKey), jwk(ec.publicKey)] } }, rsa.privateKey],
  ])("for %s (%s) names its user and when it ends", async (_, alg, options, key) => {
    const exp = inSeconds(3_600);
    const token = await sign({ sub: "ana", exp }, alg, key);
    expect(await jwt(options).verifyToken(token)).toEqual({ userId: "ana", expiresAt: exp * 1_000 });
  });

  it("is checked with a CryptoKey", async () => {
    const { publicKey, privateKey } = await webcrypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, [
      "sign",
      "verify",
    ]);
    const token = await new SignJWT({ sub: "ana", exp: inSeconds(60) }).setProtectedHeader({ alg: "ES256" }).sign(privateKey);
    expect(await jwt({ publicKey }).verifyToken(token)).toMatchObject({ userId: "ana" });
  });

  it("is checked with a certificate", async () => {
    expect(await jwt({ publicKey: CERTIFICATE }).verifyToken(CERTIFIED_TOKEN)).toMatchObject({ userId: "ana" });
  });

  it("without a key id is tried against every key of its kind", async () => {
    const other = generateKeyPairSync("rsa", { modulusLength: 2048 });
    const stranger = generateKeyPairSync("rsa", { modulusLength: 2048 });
    const { verifyToken } = jwt({ jwks: { keys: [jwk(other.publicKey), jwk(rsa.publicKey)] } });
    const claims = { sub: "ana", exp: inSeconds(60) };
    expect(await verifyToken(await sign(claims, "RS256", rsa.privateKey))).toMatchObject({ userId: "ana" });
    await expect(verifyToken(await sign(claims, "RS256", stranger.privateKey))).rejects.toThrow(code("TOKEN_INVALID"));
    const expired = await sign({ ...claims, exp: inSeconds(-60) }, "RS256", rsa.privateKey);
    await expect(verifyToken(expired)).rejects.toThrow(code("TOKEN_EXPIRED"));
  });

  it("may name its user by another claim, or by a number", async () => {
    const token = await sign({ sub: "x", "https://example.com/id": "bo", n: 7, exp: inSeconds(60) });
    expect(await jwt({ secret: SECRET, userIdClaim: "https://example.com/id" }).verifyToken(token)).toMatchObject({
      userId: "bo",
    });
    expect(await jwt({ secret: SECRET, userIdClaim: "n" }).verifyToken(token)).toMatchObject({ userId: "7" });
  });

  it("is accepted from one of several issuers, for one of several audiences", async () => {
    const { verifyToken } = jwt({ secret: SECRET, issuer: ["a", "b"], audience: "chat" });
    const token = await sign({ sub: "ana", iss: "b", aud: ["mail", "chat"], exp: inSeconds(60) });
    expect(await verifyToken(token)).toMatchObject({ userId: "ana" });
  });

  it("may come from a clock a little ahead of ours, but keeps its own end", async () => {
    const { verifyToken } = jwt({ secret: SECRET });
    const exp = inSeconds(60);
    const early = await sign({ sub: "ana", nbf: inSeconds(3), exp });
    expect(await verifyToken(early)).toEqual({ userId: "ana", expiresAt: exp * 1_000 });
    await expect(verifyToken(await sign({ sub: "ana", nbf: inSeconds(30), exp }))).rejects.toThrow(code("TOKEN_INVALID"));
    await expect(verifyToken(await sign({ sub: "ana", exp: inSeconds(-1) }))).rejects.toThrow(code("TOKEN_EXPIRED"));
  });
});

describe("a handshake", () => {
  const authenticate = jwt({ secret: SECRET });
  const ask = (auth: object, headers = {}) => identify(authenticate, { handshake: { auth, headers } } as unknown as Socket);

  it("with a token is its user's", async () => {
    const token = await sign({ sub: "ana", exp: inSeconds(60) });
    expect(await ask({ token })).toMatchObject({ userId: "ana" });
    expect(await ask({}, { authorization: `Bearer ${token}` })).toMatchObject({ userId: "ana" });
  });

  it("without a token is nobody's", async () => {
    expect(await ask({})).toBeNull();
  });

  it("with a bad token is refused", async () => {
    await expect(ask({ token: "x" })).rejects.toThrow(code("TOKEN_INVALID"));
  });
});

describe("a bad token", () => {
  const { verifyToken } = jwt({ secret: SECRET, issuer: "https://id.example.com", audience: "chat" });
  const good = { sub: "ana", iss: "https://id.example.com", aud: "chat", exp: inSeconds(3_600) };
  const { exp: _, ...endless } = good;
  const hs256 = '{"alg":"HS256"}';

  it.each<[string, string, string | Promise<string>]>([
    ["is empty", "TOKEN_MISSING", ""],
    ["is no token", "TOKEN_INVALID", "garbled"],
    ["has empty parts", "TOKEN_INVALID", ".."],
    ["is longer than allowed", "TOKEN_INVALID", sign({ ...good, pad: "x".repeat(LIMITS.tokenLength) })],
    ["has expired", "TOKEN_EXPIRED", sign({ ...good, exp: inSeconds(-1) })],
    ["is signed with another secret", "TOKEN_INVALID", sign(good, "HS256", bytes(`${SECRET}!`))],
    ["is signed with another algorithm", "TOKEN_INVALID", sign(good, "HS512")],
    ["is not signed", "TOKEN_INVALID", `${base64url.encode('{"alg":"none"}')}.${base64url.encode(JSON.stringify(good))}.`],
    ["calls its signature none", "TOKEN_INVALID", signText('{"alg":"none"}', JSON.stringify(good))],
    ["comes from another issuer", "TOKEN_INVALID", sign({ ...good, iss: "https://evil.example.com" })],
    ["is for another audience", "TOKEN_INVALID", sign({ ...good, aud: "mail" })],
    ["has expired and is for another audience", "TOKEN_INVALID", sign({ ...good, aud: "mail", exp: inSeconds(-1) })],
    ["has no end", "TOKEN_INVALID", sign(endless)],
    ["has an end that is text", "TOKEN_INVALID", signText(hs256, JSON.stringify({ ...good, exp: "4102444800" }))],
    ["has an end that is null", "TOKEN_INVALID", signText(hs256, JSON.stringify({ ...good, exp: null }))],
    ["ends beyond any clock", "TOKEN_INVALID", signText(hs256, JSON.stringify(good).replace(/"exp":\d+/, '"exp":1e400'))],
    ["holds no claims", "TOKEN_INVALID", signText(hs256, '"ana"')],
    ["holds no JSON", "TOKEN_INVALID", signText(hs256, "ana")],
  ])("%s", async (_, expected, token) => {
    await expect(verifyToken(await token)).rejects.toThrow(code(expected));
  });

  it.each([undefined, null])("is %s", async (token) => {
    await expect(verifyToken(token as unknown as string)).rejects.toThrow(code("TOKEN_MISSING"));
  });

  it.each([7, {}, [SECRET]])("is no text: %j", async (token) => {
    await expect(verifyToken(token as unknown as string)).rejects.toThrow(code("TOKEN_INVALID"));
  });

  it.each<[string, JWTPayload]>([
    ["missing", {}],
    ["empty", { id: "" }],
    ["null", { id: null }],
    ["an object", { id: { name: "ana" } }],
    ["a list", { id: ["ana"] }],
    ["a fraction", { id: 1.5 }],
    ["true", { id: true }],
    ["with a control character", { id: "a\nb" }],
    ["too long", { id: "x".repeat(LIMITS.userIdBytes + 1) }],
  ])("names a user that is %s", async (_, claims) => {
    const token = await sign({ sub: "ana", exp: inSeconds(60), ...claims });
    await expect(jwt({ secret: SECRET, userIdClaim: "id" }).verifyToken(token)).rejects.toThrow(code("TOKEN_INVALID"));
  });

  it("cannot name its user by what every object inherits", async () => {
    const token = await sign({ sub: "ana", exp: inSeconds(60) });
    for (const userIdClaim of ["constructor", "__proto__", "toString"]) {
      await expect(jwt({ secret: SECRET, userIdClaim }).verifyToken(token)).rejects.toThrow(code("TOKEN_INVALID"));
    }
  });

  it.each([
    ["RSA", rsa.publicKey],
    ["EC", ec.publicKey],
    ["Ed25519", ed.publicKey],
  ])("is signed by HS256 with the text of our public %s key", async (_, key) => {
    const claims = { sub: "ana", exp: inSeconds(60) };
    for (const publicKey of [pem(key), jwk(key)]) {
      const forged = await sign(claims, "HS256", bytes(pem(key)));
      await expect(jwt({ publicKey }).verifyToken(forged)).rejects.toThrow(code("TOKEN_INVALID"));
      await expect(jwt({ jwks: { keys: [jwk(key)] } }).verifyToken(forged)).rejects.toThrow(code("TOKEN_INVALID"));
    }
  });

  it.each<[string, string, SigningKey]>([
    ["RS512", "RSA", rsa.privateKey],
    ["PS256", "RSA", rsa.privateKey],
    ["ES256", "EC", ec.privateKey],
    ["EdDSA", "Ed25519", ed.privateKey],
  ])("is signed by %s of an %s key where RS256 is expected", async (alg, _, key) => {
    const token = await sign({ sub: "ana", exp: inSeconds(60) }, alg, key);
    await expect(jwt({ publicKey: rsa.publicKey }).verifyToken(token)).rejects.toThrow(code("TOKEN_INVALID"));
  });

  it("never finds its way into the error", async () => {
    const claims = '{"sub":"ana","exp":"confidential"}';
    const tokens = ["confidential", await signText(hs256, claims), await signText('{"alg":"confidential"}', claims)];
    for (const token of tokens) {
      const error: unknown = await verifyToken(token).catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ code: "TOKEN_INVALID" });
      expect(error).not.toHaveProperty("cause");
      expect(JSON.stringify(error) + String(error)).not.toContain("confidential");
    }
  });
});

describe("bad options", () => {
  const weakRsa = generateKeyPairSync("rsa", { modulusLength: 1024 }).publicKey;
  const p384 = generateKeyPairSync("ec", { namedCurve: "P-384" }).publicKey;
  const x25519 = generateKeyPairSync("x25519").publicKey;
  const privatePem = ec.privateKey.export({ type: "pkcs8", format: "pem" }).toString();

  it.each<[string, JwtOptions | Record<string, unknown>]>([
    ["no key", {}],
    ["two keys", { secret: SECRET, publicKey: rsa.publicKey }],
    ["a short secret", { secret: "x".repeat(31) }],
    ["a secret of few bytes", { secret: new Uint8Array(31) }],
    ["a secret that is no text", { secret: 7 }],
    ["a public key as secret", { secret: pem(rsa.publicKey) }],
    ["a public key that is none", { publicKey: "not a key" }],
    ["a public key of another type", { publicKey: 7 }],
    ["a JWK that is none", { publicKey: { kty: "RSA" } }],
    ["a shared secret as JWK", { publicKey: { kty: "oct", k: "AAAA" } }],
    ["a private key in PEM", { publicKey: privatePem }],
    ["a private JWK", { publicKey: jwk(ec.privateKey) }],
    ["a private KeyObject", { publicKey: ec.privateKey }],
    ["a JWK for another algorithm", { publicKey: { ...jwk(rsa.publicKey), alg: "PS256" } }],
    ["an RSA key of 1024 bits", { publicKey: weakRsa }],
    ["a key on another curve", { publicKey: p384 }],
    ["a key that cannot sign", { publicKey: x25519 }],
    ["a key set that is none", { jwks: {} }],
    ["an empty key set", { jwks: { keys: [] } }],
    ["a key set with a private key", { jwks: { keys: [jwk(ec.privateKey)] } }],
    ["a key set with odd keys", { jwks: { keys: [7] } }],
    ["a key set at no URL", { jwks: "id.example.com" }],
    ["a key set in a file", { jwks: "file:///keys.json" }],
    ["a key set behind a password", { jwks: "https://me:secret@id.example.com/keys" }],
    ["an empty issuer", { secret: SECRET, issuer: "" }],
    ["no audience in the list", { secret: SECRET, audience: [] }],
    ["an audience that is no text", { secret: SECRET, audience: [7] }],
    ["an empty claim name", { secret: SECRET, userIdClaim: "" }],
    ["a negative tolerance", { secret: SECRET, clockToleranceMs: -1 }],
    ["a tolerance that is no number", { secret: SECRET, clockToleranceMs: "5s" }],
    ["a misspelt option", { secret: SECRET, audiance: "chat" }],
  ])("%s throws at once", (_, options) => {
    expect(() => jwt(options as JwtOptions)).toThrow(code("INVALID_OPTIONS"));
  });
});
