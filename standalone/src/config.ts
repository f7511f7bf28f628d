import { UsercastError } from "@usercast/protocol";
import { ApiKeys } from "./keys.ts";
import type { SettingName, Settings } from "./settings.ts";
import { defined, gather, readText, refuse, type Sources } from "./sources.ts";
import { type StoreConfig, storeOf } from "./store-config.ts";

/** How tokens are verified, in the words of the library's `jwt()`: by a secret, a public key or a key set. */
export interface IdentitySettings {
  readonly secret?: string;
  readonly publicKey?: string;
  readonly jwks?: string;
  readonly issuer?: string;
  readonly audience?: string;
  readonly userIdClaim?: string;
}

const USER_LIMITS = ["maxConnectionsPerUser", "takeover", "leaseMs", "presenceGraceMs"] as const satisfies readonly SettingName[];

const STORE_LIMITS = [
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

type Limits<Name extends SettingName> = { readonly [Each in Name]?: Exclude<Settings[Each], undefined> };

/** Limits of the library, as far as they were given; the defaults are its own. */
export type UserLimits = Limits<(typeof USER_LIMITS)[number]>;

/** Limits of the store, likewise. */
export type StoreLimits = Limits<(typeof STORE_LIMITS)[number]>;

/** How a client of Socket.IO may be connected. */
export type Transport = "polling" | "websocket";

interface CommonConfig {
  readonly port: number;
  readonly store: StoreConfig;
  readonly logLevel: string;
  readonly closeTimeoutMs: number;
  readonly maxPayloadBytes: number;
  readonly maxBatchBytes: number;
  readonly userLimits: UserLimits;
  readonly storeLimits: StoreLimits;
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
  /** Processes that share the port. */
  readonly workers: number;
  readonly transports: readonly Transport[];
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
  const problems: string[] = [];
  if (sources.env["NODE_ENV"] === "production") {
    refuse(['Development mode believes every client, so it does not run under NODE_ENV=production; use "usercast serve".']);
  }
  const store = storeOf(settings, sources, problems);
  if (store === undefined) return refuse(problems);
  return {
    mode: "development",
    ...common(settings),
    store,
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
  const store = storeOf(settings, sources, problems);
  const workers = settings.workers ?? 1;
  if (workers > 1 && store?.kind === "folder") {
    problems.push("several workers need a store that they can share: set redisUrl, redisSentinels or redisCluster");
  }
  if (workers > 1 && settings.transports?.includes("polling")) {
    problems.push(
      "the requests of a client that polls would reach different workers: with several, transports is websocket alone",
    );
  }
  if (identity === undefined || apiKeys === undefined || store === undefined || problems.length > 0) return refuse(problems);
  return {
    mode: "production",
    ...common(settings),
    store,
    host: settings.host,
    origins: settings.origins ?? [],
    workers,
    transports: settings.transports ?? (workers > 1 ? ["websocket"] : ["polling", "websocket"]),
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

function common(settings: Settings): Omit<CommonConfig, "store"> {
  return {
    port: settings.port ?? 3_000,
    logLevel: settings.logLevel ?? "info",
    closeTimeoutMs: settings.closeTimeoutMs ?? 10_000,
    maxPayloadBytes: settings.maxPayloadBytes ?? 65_536,
    maxBatchBytes: settings.maxBatchBytes ?? 16_777_216,
    userLimits: limitsOf(settings, USER_LIMITS),
    storeLimits: limitsOf(settings, STORE_LIMITS),
    engineIo3: settings.engineIo3 ?? false,
    userToUser: settings.userToUser ?? false,
  };
}

const limitsOf = <Name extends SettingName>(settings: Settings, names: readonly Name[]): Limits<Name> =>
  defined(Object.fromEntries(names.map((name) => [name, settings[name]]))) as Limits<Name>;

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
