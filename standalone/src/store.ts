import type { Broker } from "@usercast/server";
import { lmdb } from "@usercast/server/lmdb";
import { redis } from "@usercast/server/redis";
import { Cluster, Redis } from "ioredis";
import type { StoreLimits } from "./config.ts";
import type { Logger } from "./log.ts";
import { defined } from "./sources.ts";
import type { Place, RedisStoreConfig, StoreConfig } from "./store-config.ts";

/**
 * Opens the store.
 * @throws UsercastError of the broker's
 */
export async function openStore(store: StoreConfig, limits: StoreLimits, log: Logger): Promise<Broker> {
  const warn = (message: string): void => log.warn(message);
  if (store.kind === "folder") return lmdb({ path: store.dataDir, warn, ...limits });
  return redis({ client: clientOf(store), warn, ...store.options, ...limits });
}

/** Settings in the shape of a client: the broker opens connections of its own, and this one is never connected. */
function clientOf({ place, tls, username, password }: RedisStoreConfig): Redis | Cluster {
  const options = { lazyConnect: true, ...defined({ username, password }), ...(tls && { tls: {} }) };
  switch (place.kind) {
    case "server":
      return new Redis(place.url, options);
    case "sentinels":
      return new Redis({
        ...options,
        sentinels: [...place.sentinels],
        name: place.name,
        ...(place.password !== undefined && { sentinelPassword: place.password }),
        ...(tls && { enableTLSForSentinelMode: true, sentinelTLS: {} }),
      });
    case "cluster":
      return new Cluster([...place.nodes], {
        lazyConnect: true,
        redisOptions: options,
        // Certificates are for names: a name that was resolved here would fit none.
        ...(tls && { dnsLookup: (address, found) => found(null, address) }),
      });
  }
}

/** Where the mailboxes are, for a person; without a password. */
export function describeStore(store: StoreConfig): string {
  if (store.kind === "folder") return store.dataDir;
  const { place } = store;
  const listed = (places: readonly Place[]): string =>
    places.map(({ host, port }) => `${host.includes(":") ? `[${host}]` : host}:${port}`).join(", ");
  switch (place.kind) {
    case "server":
      return `Redis at ${new URL(place.url).host}`;
    case "sentinels":
      return `the Redis that Sentinels at ${listed(place.sentinels)} call ${place.name}`;
    case "cluster":
      return `the Redis Cluster at ${listed(place.nodes)}`;
  }
}
