import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { Crowd } from "../support/crowd.ts";
import { LEASE_MS, startNode } from "../support/node.ts";
import { owned } from "../support/owned.ts";
import { announcedSeed, seeded } from "../support/random.ts";
import { RedisServer } from "../support/redis.ts";
import { loadSdk } from "../support/sdk.ts";
import { TcpProxy } from "../support/tcp-proxy.ts";
import { until } from "../support/wait.ts";

// One node is cut off from Redis while the other is not, and its clients stay with it.

/** `npm run faults` asks for more. */
const ROUNDS = Number(process.env["USERCAST_ROUNDS"] ?? 1);

/** How a network fails, and that it ends. */
const PARTITIONS = [
  { name: "refuses connections", begin: (proxy: TcpProxy) => proxy.refuse(), end: (proxy: TcpProxy) => proxy.admit() },
  { name: "loses every answer", begin: (proxy: TcpProxy) => proxy.swallow(), end: (proxy: TcpProxy) => proxy.cut() },
];

test.each(PARTITIONS)(
  "clients that say nothing are told by a node whose network to Redis $name, and told when it is over",
  async ({ begin, end }) => {
    const redis = owned(await RedisServer.start());
    const network = owned(await TcpProxy.start(redis.port));
    const cutOff = owned(await startNode(network.url.replace("http", "redis")));
    const sdk = await loadSdk(cutOff);
    const client = owned(sdk.connect(cutOff.url, { userId: "ana", deviceId: "laptop" }));
    const told: unknown[] = [];
    client.lifecycle.on("availability", (availability: unknown) => told.push(availability));
    await until("she is online", () => client.status === "online");
    begin(network);
    await until("she is told", () => told.length > 0);
    expect(client.status).toBe("online");
    end(network);
    await until("she is told that it is over", () => told.length > 1);
    expect(told).toEqual([{ available: false }, { available: true }]);
  },
);

test.each(PARTITIONS)(
  "a node whose network to Redis $name catches up afterwards, and its clients miss and repeat nothing",
  {
    timeout: 120_000 + ROUNDS * 15_000,
  },
  async ({ name, begin, end }) => {
    const seed = announcedSeed(`redis-partition.test.ts, ${name}`);
    const redis = owned(await RedisServer.start());
    const network = owned(await TcpProxy.start(redis.port));
    const healthy = owned(await startNode(redis.url));
    const cutOff = owned(await startNode(network.url.replace("http", "redis")));
    const sdk = await loadSdk(healthy);
    const crowd = await Crowd.start({ user: "ana", nodes: [healthy, cutOff], sdk, seed, tolerated: ["UNAVAILABLE"] });
    const random = seeded(seed - 1);
    const { accepted } = crowd.ledger;
    crowd.go();
    for (let rounds = 0; rounds < ROUNDS; rounds++) {
      const before = accepted.size;
      await until("some more are accepted", () => accepted.size > before + 20);
      begin(network);
      // Every other time long enough for the other node to give this one up.
      await delay(rounds % 2 === 0 ? random() * LEASE_MS : LEASE_MS * (1.2 + random()));
      end(network);
    }
    await crowd.finish();
    expect(crowd.broken()).toEqual([]);
  },
);
