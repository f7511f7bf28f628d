import { UsercastError } from "@usercast/protocol";
import { type Retention, type RetentionOptions, resolveRetention } from "../retention.ts";
import type { RedisClient } from "./scripts.ts";

/** How durable what was accepted must be. */
export type Durability = "aof" | "flushed" | "relaxed";

const DURABILITIES: readonly Durability[] = ["aof", "flushed", "relaxed"];

/** What the Redis broker can be told. What the whole store holds is bounded by Redis' own `maxmemory`. */
export interface RedisOptions
  extends Omit<RetentionOptions, "maxMailboxes" | "maxTotalBytes" | "maxIdempotencyKeys" | "sweepIntervalMs"> {
  /**
   * A client of ioredis', a `Redis` (also of Sentinels) or a `Cluster`. The broker opens connections of its own with its settings, and
   * leaves it as it is. This or `url`.
   */
  readonly client?: RedisClient;
  /** The address of one server, `redis://…` or `rediss://…`. This or `client`. */
  readonly url?: string;
  /**
   * What every key and channel begins with, after the client's own `keyPrefix`; without braces. One per application.
   * @default "usercast:"
   */
  readonly prefix?: string;
  /**
   * `"aof"` refuses to start on a server without its append-only file; `"flushed"` also answers a publish only when that file has been
   * flushed to disk, on the server and on `replicas` replicas (Redis 7.2 or Valkey); `"relaxed"` takes a server as it is, and what was
   * accepted may be lost when it stops.
   * @default "aof"
   */
  readonly durability?: Durability;
  /**
   * Replicas that must have a message before its publish is answered; fewer in time, and it fails with `UNAVAILABLE`.
   * @default 0
   */
  readonly replicas?: number;
  /**
   * Milliseconds a call of Redis may take; then it fails with `UNAVAILABLE`.
   * @default 5_000
   */
  readonly commandTimeoutMs?: number;
  /**
   * Messages that may wait for their answers; over it they fail with `OVERLOADED`. As many signals may be on their way to Redis; more are
   * dropped.
   * @default 65_536
   */
  readonly maxPendingWrites?: number;
  /**
   * Milliseconds in which the mailbox of everybody who is connected is compared once with what was heard of it.
   * @default 25_000
   */
  readonly positionCheckMs?: number;
  /**
   * Mailboxes compared in one second; where there are more, a round takes longer than `positionCheckMs`.
   * @default 2_000
   */
  readonly positionChecksPerSecond?: number;
  /**
   * Milliseconds a node stays subscribed to a user after the last connection there.
   * @default 2_000
   */
  readonly unsubscribeAfterMs?: number;
  /**
   * Where warnings go.
   * @default console.warn
   */
  readonly warn?: (message: string) => void;
}

const NUMBERS = {
  replicas: 0,
  commandTimeoutMs: 5_000,
  maxPendingWrites: 65_536,
  positionCheckMs: 25_000,
  positionChecksPerSecond: 2_000,
  unsubscribeAfterMs: 2_000,
};

/** The options, complete. */
export type ResolvedRedisOptions = typeof NUMBERS & {
  readonly prefix: string;
  readonly durability: Durability;
  readonly retention: Retention;
  readonly warn: (message: string) => void;
};

/**
 * The given options with the defaults in place of what is missing.
 * @throws UsercastError `INVALID_OPTIONS`
 */
export function resolveRedisOptions(options: RedisOptions): ResolvedRedisOptions {
  const { client, url, prefix = "usercast:", durability = "aof" } = options;
  if ((client === undefined) === (url === undefined)) throw invalid("Give redis() either a client or a url.");
  if (url !== undefined && !/^rediss?:\/\//.test(url)) throw invalid("url must begin with redis:// or rediss://.");
  if (typeof prefix !== "string" || /[{}]/.test(prefix)) {
    throw invalid("prefix must be text without braces: by braces a cluster finds out where a key belongs.");
  }
  if (!DURABILITIES.includes(durability)) {
    throw invalid(`durability must be "aof", "flushed" or "relaxed", not ${String(durability)}.`);
  }
  const numbers = { ...NUMBERS };
  for (const name of Object.keys(NUMBERS) as (keyof typeof NUMBERS)[]) {
    const value = options[name] ?? NUMBERS[name];
    if (!Number.isSafeInteger(value) || value < (name === "replicas" ? 0 : 1)) {
      throw invalid(`${name} must be a ${name === "replicas" ? "" : "positive "}whole number, not ${String(value)}.`);
    }
    numbers[name] = value;
  }
  return {
    ...numbers,
    prefix,
    durability,
    retention: resolveRetention(options, Number.MAX_SAFE_INTEGER),
    warn: options.warn ?? ((message) => console.warn(message)),
  };
}

const invalid = (message: string): UsercastError => new UsercastError("INVALID_OPTIONS", message);
