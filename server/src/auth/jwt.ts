import type { KeyObject } from "node:crypto";
import { LIMITS, parseUserId, UsercastError } from "@usercast/protocol";
import { type CryptoKey, errors, type JSONWebKeySet, type JWK, type JWTPayload, type JWTVerifyOptions, jwtVerify } from "jose";
import { fromKeySet, fromPublicKey, fromSecret, type KeySource } from "./keys.ts";
import { type Credentials, handshakeToken, type Identity, type VerifyToken } from "./verify.ts";

/** How tokens are checked. Exactly one of `secret`, `publicKey` and `jwks` must be given. */
export interface JwtOptions {
  /** A secret shared with the issuer, at least 32 bytes: HS256. */
  readonly secret?: string | Uint8Array;
  /** The issuer's public key as PEM text (SPKI or X.509), JWK or key object: RS256, ES256 or EdDSA, by the kind of key. */
  readonly publicKey?: string | JWK | KeyObject | CryptoKey;
  /** The issuer's key set, or the http(s) address it is fetched from: RS256, ES256 and EdDSA. */
  readonly jwks?: string | URL | JSONWebKeySet;
  /** What `iss` must be, or one of several. @default unchecked */
  readonly issuer?: string | readonly string[];
  /** What `aud` must hold, or one of several. @default unchecked */
  readonly audience?: string | readonly string[];
  /** The claim that names the user. @default "sub" */
  readonly userIdClaim?: string;
  /** How far the issuer's clock may be ahead of ours when `nbf` is checked, in milliseconds. `exp` is kept exactly. @default 5_000 */
  readonly clockToleranceMs?: number;
  /** Longest wait for the key set, in milliseconds. @default 5_000 */
  readonly jwksTimeoutMs?: number;
  /** Shortest time from one fetch of the key set to the next because of an unknown key, in milliseconds. @default 30_000 */
  readonly jwksCooldownMs?: number;
  /** Longest time a fetched key set is used, in milliseconds: how soon a withdrawn key stops working. @default 600_000 */
  readonly jwksMaxAgeMs?: number;
  /** Pause after a failed fetch of the key set, in milliseconds. @default 1_000 */
  readonly jwksRetryMs?: number;
}

/** An `authenticate` function that takes the identity from a token, in the handshake or later. */
export interface TokenAuthenticate {
  /** `null` for a handshake without a token. */
  (socket: { readonly handshake: Credentials }): Promise<Identity | null>;
  readonly verifyToken: VerifyToken;
}

type DurationName = "clockToleranceMs" | "jwksTimeoutMs" | "jwksCooldownMs" | "jwksMaxAgeMs" | "jwksRetryMs";

const DEFAULT_MS: Readonly<Record<DurationName, number>> = {
  clockToleranceMs: 5_000,
  jwksTimeoutMs: 5_000,
  jwksCooldownMs: 30_000,
  jwksMaxAgeMs: 600_000,
  jwksRetryMs: 1_000,
};
const MAX_DURATION_MS = 86_400_000;
const KEY_OPTIONS = ["secret", "publicKey", "jwks"] as const;
const OPTIONS: ReadonlySet<string> = new Set([...KEY_OPTIONS, "issuer", "audience", "userIdClaim", ...Object.keys(DEFAULT_MS)]);

/**
 * Takes identities from signed tokens (JWT). A token must carry `exp`; a connection made with it ends then.
 * The token is looked for in the handshake's `auth.token` and in `Authorization: Bearer`.
 * @throws UsercastError `INVALID_OPTIONS`; the returned function rejects with `TOKEN_INVALID`, `TOKEN_EXPIRED`, or
 *   `UNAVAILABLE` while the key set cannot be fetched, and `verifyToken` also with `TOKEN_MISSING`
 * @example
 * usercast(io, { authenticate: jwt({ jwks: "https://id.example.com/.well-known/jwks.json", audience: "chat" }) });
 */
export function jwt(options: JwtOptions): TokenAuthenticate {
  checkNames(options);
  const keys = keySource(options);
  const userIdClaim = options.userIdClaim ?? "sub";
  if (typeof userIdClaim !== "string" || userIdClaim === "") return refuse("userIdClaim must be the name of a claim.");
  const checks: JWTVerifyOptions = {
    algorithms: [...keys.algorithms],
    clockTolerance: duration(options, "clockToleranceMs") / 1_000,
    ...expected(options, "issuer"),
    ...expected(options, "audience"),
  };

  const verifyToken: VerifyToken = async (token) => {
    if (token === undefined || token === null || token === "") throw new UsercastError("TOKEN_MISSING");
    if (typeof token !== "string" || token.length > LIMITS.tokenLength) throw new UsercastError("TOKEN_INVALID");
    try {
      return identityOf(await verified(token, keys, checks), userIdClaim);
    } catch (error) {
      throw refusal(error);
    }
  };
  const authenticate = async ({ handshake }: { readonly handshake: Credentials }): Promise<Identity | null> => {
    const token = handshakeToken(handshake);
    return token === null ? null : verifyToken(token);
  };
  return Object.assign(authenticate, { verifyToken });
}

async function verified(token: string, keys: KeySource, checks: JWTVerifyOptions): Promise<JWTPayload> {
  try {
    return (await jwtVerify(token, keys.find, checks)).payload;
  } catch (error) {
    if (!(error instanceof errors.JWKSMultipleMatchingKeys)) throw error;
    // A token need not say which key signed it; where a set holds several of its kind, each is tried.
    for await (const key of error) {
      try {
        return (await jwtVerify(token, key, checks)).payload;
      } catch (mismatch) {
        if (!(mismatch instanceof errors.JWSSignatureVerificationFailed)) throw mismatch;
      }
    }
    throw new errors.JWSSignatureVerificationFailed();
  }
}

function identityOf(payload: JWTPayload, userIdClaim: string): Identity {
  const expiresAt = Math.floor((payload.exp ?? Number.NaN) * 1_000);
  // A token without an end could never be taken back. And JSON can write ends that no clock reaches: 1e400 is Infinity once it is read.
  if (!Number.isSafeInteger(expiresAt)) throw claimRefused("exp");
  // The tolerance is for clocks that are ahead of ours. Were it spent here too, a connection would open that has to close at once.
  if (expiresAt <= Date.now()) throw new UsercastError("TOKEN_EXPIRED");
  try {
    return { userId: parseUserId(payload[userIdClaim]), expiresAt };
  } catch {
    throw claimRefused(userIdClaim);
  }
}

const claimRefused = (claim: string): UsercastError =>
  new UsercastError("TOKEN_INVALID", `The token's claim ${JSON.stringify(claim)} is missing or not accepted here.`);

/** jose's errors in our words. They are not kept as the cause: they hold parts of the token, and causes end in logs. */
function refusal(error: unknown): UsercastError {
  if (error instanceof UsercastError) return error;
  if (error instanceof errors.JWTExpired) return new UsercastError("TOKEN_EXPIRED");
  if (error instanceof errors.JWTClaimValidationFailed) return claimRefused(error.claim);
  if (error instanceof errors.JOSEAlgNotAllowed) {
    return new UsercastError("TOKEN_INVALID", "The token's algorithm is not accepted here.");
  }
  if (error instanceof errors.JWSSignatureVerificationFailed || error instanceof errors.JWKSNoMatchingKey) {
    return new UsercastError("TOKEN_INVALID", "The token was not signed with a key that is accepted here.");
  }
  return new UsercastError("TOKEN_INVALID");
}

const refuse = (detail: string): never => {
  throw new UsercastError("INVALID_OPTIONS", detail);
};

/** A misspelt `audience` would silently leave the audience unchecked. */
function checkNames(options: JwtOptions): void {
  const unknown = Object.keys(options).find((name) => !OPTIONS.has(name));
  if (unknown !== undefined) refuse(`jwt() has no option ${JSON.stringify(unknown)}.`);
}

function keySource(options: JwtOptions): KeySource {
  const { secret, publicKey, jwks } = options;
  if (KEY_OPTIONS.filter((name) => options[name] !== undefined).length !== 1) {
    return refuse("jwt() needs exactly one of secret, publicKey and jwks.");
  }
  const timing = {
    timeoutMs: duration(options, "jwksTimeoutMs"),
    cooldownMs: duration(options, "jwksCooldownMs"),
    maxAgeMs: duration(options, "jwksMaxAgeMs"),
    retryMs: duration(options, "jwksRetryMs"),
  };
  if (secret !== undefined) return fromSecret(secret);
  if (publicKey !== undefined) return fromPublicKey(publicKey);
  return jwks === undefined ? refuse("jwks is missing.") : fromKeySet(jwks, timing);
}

function duration(options: JwtOptions, name: DurationName): number {
  const ms = options[name] ?? DEFAULT_MS[name];
  if (!Number.isSafeInteger(ms) || ms < 0 || ms > MAX_DURATION_MS) {
    return refuse(`${name} must be a whole number of milliseconds from 0 to ${MAX_DURATION_MS}.`);
  }
  return ms;
}

function expected(options: JwtOptions, name: "issuer" | "audience"): { issuer?: string[]; audience?: string[] } {
  const value = options[name];
  if (value === undefined) return {};
  const accepted: readonly unknown[] = Array.isArray(value) ? value : [value];
  const valid = accepted.filter((text) => typeof text === "string" && text !== "") as string[];
  if (valid.length === 0 || valid.length !== accepted.length)
    return refuse(`${name} must be text, or a list of texts, none empty.`);
  return { [name]: valid };
}
