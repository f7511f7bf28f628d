import { UsercastError } from "@usercast/protocol";
import { Cluster, Redis } from "ioredis";
import type { RedisClient } from "./scripts.ts";

/** Makes connections of ours to one place. */
export interface Connector {
  readonly isCluster: boolean;
  /** What the application's own settings put before keys, and what keeps databases of one server apart, whose channels are shared. */
  readonly keyPrefix: string;
  /** Connects once more. */
  open(): Promise<RedisClient>;
}

/** Beyond this, a try to connect again comes no later than this after the last. */
const MAX_RETRY_MS = 1_000;
const retryIn = (tries: number): number => Math.min(50 * tries, MAX_RETRY_MS);

/** Prepares to connect with the settings of an application's client, or to an address. Nothing is connected yet. */
export function connectorOf(client: RedisClient | undefined, url: string | undefined, timeoutMs: number): Connector {
  // What ioredis would keep to send it later, it would keep without a bound; `line.ts` does that instead.
  const own = {
    lazyConnect: true,
    autoResubscribe: false,
    autoResendUnfulfilledCommands: false,
    enableAutoPipelining: false,
    enableReadyCheck: true,
    keyPrefix: "",
    readOnly: false,
    stringNumbers: false,
    replyMapping: "legacy" as const,
    socketTimeout: timeoutMs,
    connectTimeout: timeoutMs,
  };
  const single = { ...own, enableOfflineQueue: false, maxRetriesPerRequest: 0, retryStrategy: retryIn };
  if (client instanceof Cluster) {
    const { lazyConnect, keyPrefix, enableAutoPipelining } = own;
    const cluster = { lazyConnect, keyPrefix, enableAutoPipelining, scaleReads: "master", shardedSubscribers: true } as const;
    const { readOnly: _, lazyConnect: __, ...redisOptions } = own;
    const settings = {
      ...cluster,
      clusterRetryStrategy: retryIn,
      redisOptions: { ...client.options.redisOptions, ...redisOptions },
    };
    const { keyPrefix: before = "" } = client.options;
    return { isCluster: true, keyPrefix: before, open: () => connected(client.duplicate([], settings), timeoutMs) };
  }
  const template = client ?? new Redis(url ?? "", { lazyConnect: true });
  const { keyPrefix = "", db = 0 } = template.options;
  return {
    isCluster: false,
    keyPrefix: db === 0 ? keyPrefix : `${keyPrefix}${db}:`,
    open: () => connected(template.duplicate(single), timeoutMs),
  };
}

/** @throws UsercastError `UNAVAILABLE` where nobody answers, `INVALID_OPTIONS` where we are not let in */
async function connected(client: RedisClient, timeoutMs: number): Promise<RedisClient> {
  let cause: unknown;
  const note = (error: unknown): void => {
    cause = error;
  };
  client.on("error", note);
  client.on("node error", note);
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
  });
  try {
    await Promise.race([client.connect(), timeout]);
    client.off("error", note);
    // What went wrong on the way is over; an `error` that nobody hears would end the process.
    client.on("error", () => {});
    return client;
  } catch (error) {
    client.disconnect();
    throw refusal(cause ?? error);
  } finally {
    clearTimeout(timer);
  }
}

function refusal(cause: unknown): UsercastError {
  const { lastNodeError = cause } = (cause ?? {}) as { readonly lastNodeError?: unknown };
  const message = lastNodeError instanceof Error ? lastNodeError.message : String(lastNodeError);
  if (/WRONGPASS|NOAUTH|NOPERM|invalid password/.test(message)) {
    return new UsercastError("INVALID_OPTIONS", `Redis does not let us in; look at user and password: ${message}`, { cause });
  }
  if (/cluster support disabled/.test(message)) {
    return new UsercastError("INVALID_OPTIONS", "The server is no cluster; give redis() a Redis client or a url.", { cause });
  }
  return new UsercastError("UNAVAILABLE", `Redis cannot be reached: ${message}`, { cause });
}
