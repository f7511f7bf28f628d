import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { Crowd } from "../support/crowd.ts";
import { startNode } from "../support/node.ts";
import { owned } from "../support/owned.ts";
import { announcedSeed, type Random, seeded } from "../support/random.ts";
import { RedisServer } from "../support/redis.ts";
import { loadSdk } from "../support/sdk.ts";
import type { TestServer } from "../support/server.ts";
import { until } from "../support/wait.ts";

// The first promises, on two nodes whose Redis crashes, hangs, forgets and runs out of memory.

/** `npm run faults` asks for more. */
const ROUNDS = Number(process.env["USERCAST_ROUNDS"] ?? 1);
const AWAY = ["UNAVAILABLE"];
const MEGABYTE = 1_048_576;
/** With bad networks between clients and nodes, too, where there is time for it. */
const IS_ROUGH = ROUNDS > 1;

/** What is done to a Redis, again and again. */
interface Fault {
  readonly name: string;
  /** What senders may be answered meanwhile. */
  readonly tolerated: readonly string[];
  readonly strike: (redis: RedisServer, random: Random) => Promise<void>;
}

const FAULTS: readonly Fault[] = [
  {
    name: "that is killed and started again",
    tolerated: AWAY,
    strike: async (redis, random) => {
      await redis.kill();
      await delay(random() * 1_500);
      await redis.restart();
    },
  },
  {
    name: "that breaks connections of all kinds in quick succession",
    tolerated: AWAY,
    strike: async (redis, random) => {
      for (let cuts = 0; cuts < 8; cuts++) {
        await redis.client.call("CLIENT", "KILL", "TYPE", random() < 0.5 ? "pubsub" : "normal", "SKIPME", "yes");
        await delay(random() * 120);
      }
    },
  },
  {
    name: "that hangs for longer than anybody waits",
    tolerated: AWAY,
    strike: async (redis, random) => {
      redis.pause();
      await delay(2_000 + random() * 1_500);
      redis.resume();
    },
  },
  {
    name: "that forgets its scripts",
    tolerated: [],
    strike: async (redis, random) => {
      for (let flushes = 0; flushes < 8; flushes++) {
        await redis.client.script("FLUSH");
        await delay(random() * 100);
      }
    },
  },
  {
    name: "that has no memory left for a while",
    tolerated: ["STORE_FULL"],
    strike: async (redis, random) => {
      await redis.client.config("SET", "maxmemory", String(MEGABYTE));
      await delay(300 + random() * 700);
      await redis.client.config("SET", "maxmemory", "0");
    },
  },
];

test.each(FAULTS)(
  "a Redis $name loses, turns around and repeats nothing of what it accepted",
  {
    timeout: 120_000 + ROUNDS * 10_000,
  },
  async ({ name, tolerated, strike }) => {
    const seed = announcedSeed(`redis-store.test.ts, ${name}`);
    const redis = owned(await RedisServer.start());
    const nodes: readonly TestServer[] = [owned(await startNode(redis.url)), owned(await startNode(redis.url))];
    const sdk = await loadSdk(nodes[0] as TestServer);
    const crowd = await Crowd.start({ user: "ana", nodes, sdk, seed, tolerated, isRough: IS_ROUGH });
    const random = seeded(seed - 1);
    const { accepted } = crowd.ledger;
    crowd.go();
    for (let rounds = 0; rounds < ROUNDS; rounds++) {
      const before = accepted.size;
      await until("some more are accepted", () => accepted.size > before + 20);
      await delay(random() * 300);
      await strike(redis, random);
    }
    await crowd.finish();
    expect(crowd.broken()).toEqual([]);
  },
);
