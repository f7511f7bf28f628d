import { resolve } from "node:path";
import { UsercastError } from "@usercast/protocol";
import { ApiKeys } from "./keys.ts";
import type { SettingName, Settings } from "./settings.ts";
import { gather, readText, refuse, type Sources } from "./sources.ts";

/** How tokens are verified, in the words of the library's `jwt()`: by a secret, a public key or a key set. */
export interface IdentitySettings {
  readonly secret?: string;
  readonly publicKey?: string;
  readonly jwks?: string;
  readonly issuer?: string;
  readonly audience?: string;
  readonly userIdClaim?: string;
}

const LIMITS = [
  "maxConnectionsPerUser",
  "presenceGraceMs",
  "retentionMs",
  "maxMailboxMessages",
  "maxMailboxBytes",
  "whenFull",
  "deviceIdleMs",
  "maxMailboxes",
  "maxTotalBytes",
  "idempotencyMs",
  "maxIdempotencyKeys",
] as const satisfies readonly SettingName[];

/** Limits of the library and its store, as far as they were given; the defaults are theirs. */
export type Limits = { readonly [Name in (typeof LIMITS)[number]]?: Exclude<Settings[Name], undefined> };

interface CommonConfig {
  readonly port: number;
  readonly dataDir: string;
  readonly logLevel: string;
  readonly closeTimeoutMs: number;
  readonly maxPayloadBytes: number;
  readonly maxBatchBytes: number;
  readonly limits: Limits;
  readonly engineIo3: boolean;
  readonly userToUser: boolean;
}

/** A server for the developer's own machine: it believes everybody who can reach it. */
export interface DevelopmentConfig extends CommonConfig {
  readonly mode: "development";
  /** Names of settings that were given and that only production knows, for a warning. */
  readonly ignored: readonly string[];
}

/** A server for the world: it believes nobody. */
export interface ProductionConfig extends CommonConfig {
  readonly mode: "production";
  /** The address to listen on; every address where it is missing. */
  readonly host: string | undefined;
  readonly origins: readonly string[];
  readonly registerTimeoutMs: number;
  readonly identity: IdentitySettings;
  readonly apiKeys: ApiKeys;
}

/** Everything a server needs to know to start. */
export type ServerConfig = DevelopmentConfig | ProductionConfig;

const MIN_SECRET_BYTES = 32;

/**
 * The configuration of `usercast`, development mode.
 * @throws UsercastError `INVALID_OPTIONS`, naming every setting that is wrong and where it was set
 */
export function developmentConfig(sources: Sources): DevelopmentConfig {
  const { settings, ignored } = gather("dev", sources);
  if (sources.env["NODE_ENV"] === "production") {
    refuse(['Development mode believes every client, so it does not run under NODE_ENV=production; use "usercast serve".']);
  }
  return {
    mode: "development",
    ...common(settings),
    logLevel: settings.logLevel ?? "warn",
    engineIo3: true,
    userToUser: true,
    ignored,
  };
}

/**
 * The configuration of `usercast serve`, production mode.
 * @throws UsercastError `INVALID_OPTIONS`, naming everything that is wrong or missing
 */
export function productionConfig(sources: Sources): ProductionConfig {
  const { settings } = gather("serve", sources);
  const problems: string[] = [];
  const identity = identityOf(settings, problems);
  const apiKeys = apiKeysOf(settings, problems);
  if (identity === undefined || apiKeys === undefined || problems.length > 0) return refuse(problems);
  return {
    mode: "production",
    ...common(settings),
    host: settings.host,
    origins: settings.origins ?? [],
    registerTimeoutMs: settings.registerTimeoutMs ?? 10_000,
    identity,
    apiKeys,
  };
}

/**
 * What `usercast token` signs with: the secret, and what a token has to say to be believed.
 * @throws UsercastError `INVALID_OPTIONS`
 */
export function tokenConfig(sources: Sources): IdentitySettings & { readonly secret: string } {
  const { settings } = gather("token", sources);
  if (settings.jwtSecret === undefined && settings.jwtSecretFile === undefined) {
    refuse(["tokens are signed with the server's secret: set USERCAST_JWT_SECRET (or USERCAST_JWT_SECRET_FILE)"]);
  }
  const problems: string[] = [];
  const identity = identityOf(settings, problems);
  if (identity?.secret === undefined || problems.length > 0) return refuse(problems);
  return { ...identity, secret: identity.secret };
}

function common(settings: Settings): CommonConfig {
  return {
    port: settings.port ?? 3_000,
    dataDir: resolve(settings.data ?? "data"),
    logLevel: settings.logLevel ?? "info",
    closeTimeoutMs: settings.closeTimeoutMs ?? 10_000,
    maxPayloadBytes: settings.maxPayloadBytes ?? 65_536,
    maxBatchBytes: settings.maxBatchBytes ?? 16_777_216,
    limits: defined(Object.fromEntries(LIMITS.map((name) => [name, settings[name]]))),
    engineIo3: settings.engineIo3 ?? false,
    userToUser: settings.userToUser ?? false,
  };
}

function identityOf(settings: Settings, problems: string[]): IdentitySettings | undefined {
  const ways = (["jwtSecret", "jwtSecretFile", "jwtPublicKeyFile", "jwtJwksUrl"] as const).filter((name) => settings[name]);
  if (ways.length === 0) {
    problems.push(
      "no way to verify who a user is: set USERCAST_JWT_SECRET (or USERCAST_JWT_SECRET_FILE, --jwt-public-key-file FILE, --jwt-jwks-url URL)",
    );
    return undefined;
  }
  if (ways.length > 1) {
    problems.push(`${ways.join(" and ")} are different ways to verify tokens: set one of them`);
    return undefined;
  }
  const { jwtSecretFile, jwtPublicKeyFile } = settings;
  const secret = jwtSecretFile ? readText(jwtSecretFile, "jwtSecretFile", problems) : settings.jwtSecret;
  if (secret !== undefined && Buffer.byteLength(secret) < MIN_SECRET_BYTES) {
    problems.push(`the JWT secret must have at least ${MIN_SECRET_BYTES} bytes (try "openssl rand -hex 32")`);
  }
  return defined({
    secret,
    publicKey: jwtPublicKeyFile ? readText(jwtPublicKeyFile, "jwtPublicKeyFile", problems) : undefined,
    jwks: settings.jwtJwksUrl,
    issuer: settings.jwtIssuer,
    audience: settings.jwtAudience,
    userIdClaim: settings.jwtUserIdClaim,
  });
}

type Defined<T> = { [Name in keyof T]?: Exclude<T[Name], undefined> };

/** `values` without what is undefined: the library takes an option that is there as meant. */
function defined<T extends object>(values: T): Defined<T> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Defined<T>;
}

function apiKeysOf(settings: Settings, problems: string[]): ApiKeys | undefined {
  const { apiKeys = [], apiKeysFile } = settings;
  const fileText = apiKeysFile === undefined ? "" : (readText(apiKeysFile, "apiKeysFile", problems) ?? "");
  const fileLines = fileText.split("\n").map((line) => line.trim());
  const texts = [...apiKeys, ...fileLines.filter((line) => line !== "" && !line.startsWith("#"))];
  if (texts.length === 0) {
    problems.push(
      "no key for the HTTP API: set USERCAST_API_KEYS=name:secret (or USERCAST_API_KEYS_FILE, or --api-keys-file FILE)",
    );
    return undefined;
  }
  try {
    return new ApiKeys(texts);
  } catch (error) {
    problems.push(UsercastError.from(error).message);
    return undefined;
  }
}
