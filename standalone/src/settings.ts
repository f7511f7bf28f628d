import { z } from "zod";

/** The commands of the executable; every setting says which of them it belongs to. */
export type Command = "dev" | "serve" | "token";

const whole = (min: number, max: number) => z.int().min(min).max(max);
const text = z.string().min(1);
const count = whole(1, 1_000_000_000);
const durationMs = whole(1, 365 * 86_400_000);

const REDIS_ADDRESS = 'must be an address such as "redis://localhost:6379", or with rediss:// for TLS';
const redisAddress = z.url({ protocol: /^rediss?$/, message: REDIS_ADDRESS });
/** A name or number and a port: `redis-1:6379`, `[::1]:6379`. */
const place = z.string().regex(/^(?:[^\s:/@[\]]+|\[[0-9a-f:.]+\]):\d{1,5}$/i, 'must be a host and a port such as "redis-1:6379"');

const ORIGIN = /^[a-z][a-z0-9+.-]*:\/\/[^\s/?#@]+$/i;
const origin = z
  .string()
  .refine((value) => value === "*" || ORIGIN.test(value), 'must be an origin such as "https://app.example.com", or "*" for any');

/** Every setting and the values it takes. The same names are the keys of the configuration file. */
export const settingsSchema = z
  .strictObject({
    port: whole(0, 65_535),
    host: text,
    data: text,
    redisUrl: redisAddress,
    redisUrlFile: text,
    redisSentinels: z.array(place).min(1),
    redisSentinelName: text,
    redisSentinelPassword: text,
    redisCluster: z.array(place).min(1),
    redisTls: z.boolean(),
    redisUsername: text,
    redisPassword: text,
    redisPasswordFile: text,
    redisPrefix: z.string().regex(/^[^{}]+$/, "must be text without braces"),
    redisDurability: z.enum(["aof", "flushed", "relaxed"]),
    redisReplicas: whole(0, 100),
    workers: whole(1, 1_024),
    transports: z.array(z.enum(["polling", "websocket"])).min(1),
    origins: z.array(origin),
    userToUser: z.boolean(),
    engineIo3: z.boolean(),
    registerTimeoutMs: durationMs,
    logLevel: z.enum(["trace", "debug", "info", "warn", "error", "fatal", "silent"]),
    closeTimeoutMs: durationMs,
    maxPayloadBytes: whole(1_024, 16_777_216),
    maxBatchBytes: whole(1_024, 268_435_456),
    maxConnectionsPerUser: count,
    takeover: z.enum(["oldest", "reject"]),
    leaseMs: whole(1_000, 3_600_000),
    presenceGraceMs: whole(0, 3_600_000),
    retentionMs: durationMs,
    maxMailboxMessages: count,
    maxMailboxBytes: z.int().min(1_024),
    whenFull: z.enum(["drop-oldest", "reject"]),
    deviceIdleMs: durationMs,
    maxMailboxes: count,
    maxTotalBytes: z.int().min(1_024),
    idempotencyMs: durationMs,
    maxIdempotencyKeys: count,
    jwtSecret: text,
    jwtSecretFile: text,
    jwtPublicKeyFile: text,
    jwtJwksUrl: z.url({ protocol: /^https?$/, message: "must be an http or https address" }),
    jwtIssuer: text,
    jwtAudience: text,
    jwtUserIdClaim: text,
    apiKeys: z.array(text).min(1),
    apiKeysFile: text,
  })
  .partial();

/** Settings as they were given, of the right types, before defaults. */
export type Settings = z.output<typeof settingsSchema>;

/** The name of a setting: as it is in a file; `USERCAST_…` in capitals, and a flag in kebab case, are derived from it. */
export type SettingName = keyof Settings;

/** What the command line and the documentation say of a setting. */
export interface SettingInfo {
  readonly kind: "text" | "number" | "switch" | "list";
  readonly commands: readonly Command[];
  /** What stands for the value in the help; absent where there is no flag, because the value is a secret. */
  readonly placeholder?: string;
  readonly help: string;
}

const server: readonly Command[] = ["dev", "serve"];
const production: readonly Command[] = ["serve"];
const identity: readonly Command[] = ["serve", "token"];

const number = (commands: readonly Command[], help: string): SettingInfo => ({
  kind: "number",
  commands,
  placeholder: "N",
  help,
});

/** Every setting in the words of the help. */
export const SETTINGS: Readonly<Record<SettingName, SettingInfo>> = {
  port: number(server, "port to listen on; 0 takes a free one (default: 3000)"),
  host: { kind: "text", commands: production, placeholder: "ADDRESS", help: "address to listen on (default: every address)" },
  data: { kind: "text", commands: server, placeholder: "DIR", help: "folder of the mailboxes (default: ./data)" },
  redisUrl: {
    kind: "text",
    commands: server,
    placeholder: "URL",
    help: "keep the mailboxes in this Redis instead, for several servers: redis://HOST:PORT or rediss://HOST:PORT, here without a password",
  },
  redisUrlFile: {
    kind: "text",
    commands: server,
    placeholder: "FILE",
    help: "file with that address, which may have a password",
  },
  redisSentinels: {
    kind: "list",
    commands: server,
    placeholder: "LIST",
    help: "Sentinels that know the Redis to use, HOST:PORT, separated by commas",
  },
  redisSentinelName: {
    kind: "text",
    commands: server,
    placeholder: "NAME",
    help: "what the Sentinels call that Redis (default: mymaster)",
  },
  redisSentinelPassword: { kind: "text", commands: server, help: "password of the Sentinels themselves" },
  redisCluster: {
    kind: "list",
    commands: server,
    placeholder: "LIST",
    help: "some nodes of the Redis Cluster to use, HOST:PORT, separated by commas",
  },
  redisTls: { kind: "switch", commands: server, help: "speak TLS with Sentinels and cluster (default: off)" },
  redisUsername: { kind: "text", commands: server, placeholder: "NAME", help: "user of Redis (default: Redis' own)" },
  redisPassword: { kind: "text", commands: server, help: "password of Redis" },
  redisPasswordFile: { kind: "text", commands: server, placeholder: "FILE", help: "file with the password of Redis" },
  redisPrefix: {
    kind: "text",
    commands: server,
    placeholder: "TEXT",
    help: "what every key in Redis begins with (default: usercast:)",
  },
  redisDurability: {
    kind: "text",
    commands: server,
    placeholder: "WHAT",
    help: "aof refuses a Redis without an append-only file, flushed also waits until it is on disk, relaxed takes any and what it may lose (default: aof)",
  },
  redisReplicas: number(server, "replicas of Redis that must have a message before it counts as accepted (default: 0)"),
  workers: number(
    production,
    "processes behind the one port, for several cores; needs Redis, and clients that begin with WebSocket (default: 1)",
  ),
  transports: {
    kind: "list",
    commands: production,
    placeholder: "LIST",
    help: "how clients may connect: polling, websocket (default: both; with several workers websocket)",
  },
  origins: {
    kind: "list",
    commands: production,
    placeholder: "LIST",
    help: "origins of the pages that may connect, separated by commas (default: same origin)",
  },
  userToUser: { kind: "switch", commands: production, help: "let every user send to every other (default: off)" },
  engineIo3: { kind: "switch", commands: production, help: "accept clients of Socket.IO 1 and 2 (default: off)" },
  registerTimeoutMs: number(production, "close sockets that have not registered by then (default: 10000)"),
  logLevel: {
    kind: "text",
    commands: server,
    placeholder: "LEVEL",
    help: "trace, debug, info, warn, error, fatal or silent (default: info; in development warn)",
  },
  closeTimeoutMs: number(server, "bound of a graceful stop (default: 10000)"),
  maxPayloadBytes: number(server, "bytes of one message (default: 65536)"),
  maxBatchBytes: number(server, "bytes of the body of a batch over HTTP (default: 16777216)"),
  maxConnectionsPerUser: number(server, "connections of one user (default: 64)"),
  takeover: {
    kind: "text",
    commands: server,
    placeholder: "POLICY",
    help: "who gives way at that limit: the oldest connection, or reject the new one (default: oldest)",
  },
  leaseMs: number(server, "with Redis: after this silence a server counts as dead, and its users as gone (default: 15000)"),
  presenceGraceMs: number(server, "how long a user whose last connection broke is still online (default: 10000)"),
  retentionMs: number(server, "how long a message is kept (default: 604800000, 7 days)"),
  maxMailboxMessages: number(server, "messages in one mailbox (default: 10000)"),
  maxMailboxBytes: number(server, "bytes in one mailbox (default: 16777216)"),
  whenFull: {
    kind: "text",
    commands: server,
    placeholder: "POLICY",
    help: "what a full mailbox does: drop-oldest, or reject the new message (default: drop-oldest)",
  },
  deviceIdleMs: number(server, "how long a device that does not come is remembered (default: 7776000000, 90 days)"),
  maxMailboxes: number(server, "mailboxes in the store (default: 1000000)"),
  maxTotalBytes: number(server, "bytes in the store (default: 17179869184, 16 GiB)"),
  idempotencyMs: number(server, "how long an idempotency key takes effect (default: 86400000, 24 hours)"),
  maxIdempotencyKeys: number(server, "idempotency keys in the store (default: 1000000)"),
  jwtSecret: { kind: "text", commands: identity, help: "secret of HS256 tokens, at least 32 bytes" },
  jwtSecretFile: { kind: "text", commands: identity, placeholder: "FILE", help: "file with the secret of HS256 tokens" },
  jwtPublicKeyFile: {
    kind: "text",
    commands: production,
    placeholder: "FILE",
    help: "PEM file with the public key of RS256, ES256 or EdDSA tokens",
  },
  jwtJwksUrl: { kind: "text", commands: production, placeholder: "URL", help: "address of the JSON Web Key Set of tokens" },
  jwtIssuer: { kind: "text", commands: identity, placeholder: "NAME", help: "required issuer of tokens" },
  jwtAudience: { kind: "text", commands: identity, placeholder: "NAME", help: "required audience of tokens" },
  jwtUserIdClaim: { kind: "text", commands: identity, placeholder: "CLAIM", help: "claim that holds the user id (default: sub)" },
  apiKeys: { kind: "list", commands: production, help: "API keys, name:secret, separated by commas" },
  apiKeysFile: { kind: "text", commands: production, placeholder: "FILE", help: "file with one API key, name:secret, per line" },
};

/** Every setting's name. */
export const SETTING_NAMES = Object.keys(SETTINGS) as readonly SettingName[];

const words = (name: SettingName): string[] => name.split(/(?=[A-Z]|(?<=[a-z])\d)/);

/** `maxPayloadBytes` → `USERCAST_MAX_PAYLOAD_BYTES`. */
export const envNameOf = (name: SettingName): string => `USERCAST_${words(name).join("_").toUpperCase()}`;

/** `maxPayloadBytes` → `max-payload-bytes`. */
export const flagNameOf = (name: SettingName): string => words(name).join("-").toLowerCase();

/**
 * The value that text from a flag or the environment stands for; text that does not fit comes back as it is, for the
 * schema to refuse.
 */
export function valueOfText(name: SettingName, value: string): unknown {
  switch (SETTINGS[name].kind) {
    case "number":
      return /^\d{1,15}$/.test(value) ? Number(value) : value;
    case "switch":
      return value === "true" || value === "1" ? true : value === "false" || value === "0" ? false : value;
    case "list":
      return value
        .split(",")
        .map((part) => part.trim())
        .filter((part) => part !== "");
    case "text":
      return value;
  }
}
