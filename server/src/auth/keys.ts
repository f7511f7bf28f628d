import { createPublicKey, KeyObject, webcrypto } from "node:crypto";
import { types } from "node:util";
import { isRecord, UsercastError } from "@usercast/protocol";
import {
  type CryptoKey,
  createLocalJWKSet,
  createRemoteJWKSet,
  customFetch,
  errors,
  type JSONWebKeySet,
  type JWK,
  type JWTVerifyGetKey,
} from "jose";

/** What signatures are checked with. */
export interface KeySource {
  /** The only algorithms these keys may be used with: what the token's own header asks for is never believed. */
  readonly algorithms: readonly string[];
  readonly find: JWTVerifyGetKey;
}

/** How a key set is fetched; all in milliseconds. */
export interface KeySetTiming {
  readonly timeoutMs: number;
  readonly cooldownMs: number;
  readonly maxAgeMs: number;
  readonly retryMs: number;
}

const MIN_SECRET_BYTES = 32; // as long as the digest of HS256: RFC 7518, section 3.2
const MIN_RSA_BITS = 2048;
const EDDSA = ["EdDSA", "Ed25519"] as const; // one algorithm by its old and its new name (RFC 9864)

const refuse = (detail: string, cause?: unknown): never => {
  throw new UsercastError("INVALID_OPTIONS", detail, { cause });
};

/** A shared secret, for HS256. */
export function fromSecret(secret: string | Uint8Array): KeySource {
  if (typeof secret !== "string" && !(secret instanceof Uint8Array)) return refuse("secret must be text or bytes.");
  const bytes = typeof secret === "string" ? new TextEncoder().encode(secret) : secret;
  if (bytes.length < MIN_SECRET_BYTES) return refuse(`secret must have at least ${MIN_SECRET_BYTES} bytes.`);
  // Whoever knows the public key could sign with it, were its text taken for a shared secret.
  if (typeof secret === "string" && secret.trimStart().startsWith("-----BEGIN")) {
    return refuse("secret holds a PEM key; give a public key as publicKey.");
  }
  const key = webcrypto.subtle.importKey("raw", bytes, { name: "HMAC", hash: "SHA-256" }, false, ["verify"]);
  return { algorithms: ["HS256"], find: () => key };
}

/** One public key. */
export function fromPublicKey(key: string | JWK | KeyObject | CryptoKey): KeySource {
  const imported = importPublicKey(key);
  const algorithms = algorithmsOf(imported);
  const alg = isRecord(key) && !types.isKeyObject(key) ? (key as JWK).alg : undefined;
  if (alg !== undefined && !algorithms.includes(alg))
    return refuse(`publicKey is meant for an algorithm other than ${algorithms[0]}.`);
  return { algorithms, find: () => imported };
}

function importPublicKey(key: unknown): KeyObject {
  if (hasPrivatePart(key)) return refuse("publicKey holds a private key; a server that checks tokens must not have it.");
  try {
    if (types.isKeyObject(key)) return key;
    if (types.isCryptoKey(key)) return KeyObject.from(key);
    if (typeof key === "string") return createPublicKey(key);
    if (isRecord(key)) return createPublicKey({ key, format: "jwk" });
  } catch (error) {
    return refuse("publicKey cannot be read as PEM (SPKI or X.509) or JWK.", error);
  }
  return refuse("publicKey must be PEM text, a JWK, a KeyObject or a CryptoKey.");
}

/** Node would quietly derive the public key from a private one. */
function hasPrivatePart(key: unknown): boolean {
  if (types.isKeyObject(key) || types.isCryptoKey(key)) return key.type !== "public";
  if (typeof key === "string") return key.includes("PRIVATE KEY-----");
  return isRecord(key) && (key["d"] !== undefined || key["k"] !== undefined);
}

function algorithmsOf(key: KeyObject): readonly string[] {
  const { modulusLength = 0, namedCurve } = key.asymmetricKeyDetails ?? {};
  switch (key.asymmetricKeyType) {
    case "rsa":
      return modulusLength >= MIN_RSA_BITS ? ["RS256"] : refuse(`publicKey must have at least ${MIN_RSA_BITS} bits.`);
    case "ec":
      return namedCurve === "prime256v1" ? ["ES256"] : refuse("publicKey must be on the curve P-256 for ES256.");
    case "ed25519":
      return EDDSA;
    default:
      return refuse("publicKey must be an RSA, P-256 or Ed25519 key.");
  }
}

/** A set of public keys that is given (a JWKS object) or fetched (the address of one). */
export function fromKeySet(jwks: string | URL | JSONWebKeySet, timing: KeySetTiming): KeySource {
  const remote = typeof jwks === "string" || jwks instanceof URL;
  return { algorithms: ["RS256", "ES256", ...EDDSA], find: remote ? remoteKeySet(jwks, timing) : localKeySet(jwks) };
}

function localKeySet(jwks: JSONWebKeySet): JWTVerifyGetKey {
  const keys: unknown = isRecord(jwks) ? jwks.keys : undefined;
  if (!Array.isArray(keys) || keys.length === 0)
    return refuse("jwks must be the address of a key set, or one with at least one key.");
  if (keys.some(hasPrivatePart)) return refuse("jwks holds a private or shared key; it must hold public keys only.");
  try {
    return createLocalJWKSet(jwks);
  } catch (error) {
    return refuse("jwks is not a valid key set.", error);
  }
}

function remoteKeySet(address: string | URL, { timeoutMs, cooldownMs, maxAgeMs, retryMs }: KeySetTiming): JWTVerifyGetKey {
  const url = URL.canParse(String(address)) ? new URL(address) : refuse("jwks is not a URL.");
  if (url.protocol !== "https:" && url.protocol !== "http:") refuse("jwks must be an http or https URL.");
  if (url.username !== "" || url.password !== "") refuse("jwks must be a URL without a user name and password.");

  let failure: { readonly at: number; readonly cause: unknown } | undefined;
  const keys = createRemoteJWKSet(url, {
    timeoutDuration: timeoutMs,
    cooldownDuration: cooldownMs,
    cacheMaxAge: maxAgeMs,
    // jose pauses after a fetch that worked only: while the issuer is down, every connection would ask it again.
    [customFetch]: (input, init) => {
      if (failure !== undefined && Date.now() - failure.at < retryMs) return Promise.reject(failure.cause);
      failure = undefined;
      return fetch(input, init);
    },
  });
  return async (header, token) => {
    try {
      return await keys(header, token);
    } catch (cause) {
      if (cause instanceof errors.JWKSNoMatchingKey || cause instanceof errors.JWKSMultipleMatchingKeys) throw cause;
      failure ??= { at: Date.now(), cause };
      throw new UsercastError("UNAVAILABLE", "The keys that tokens are checked with cannot be fetched now.", { cause });
    }
  };
}
