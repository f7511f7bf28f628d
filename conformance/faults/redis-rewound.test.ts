import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { brokenAfterLoss } from "../support/after-loss.ts";
import { Crowd } from "../support/crowd.ts";
import { readLog } from "../support/http.ts";
import { startNode } from "../support/node.ts";
import { owned } from "../support/owned.ts";
import { announcedSeed, seeded } from "../support/random.ts";
import { RedisServer } from "../support/redis.ts";
import { loadSdk } from "../support/sdk.ts";
import type { TestServer } from "../support/server.ts";
import { until } from "../support/wait.ts";

// A Redis that flushes every second loses up to about a second when the machine fails. That is cut off here, because a process that is
// killed loses nothing: the kernel has what it wrote.

/** `npm run faults` asks for more. */
const ROUNDS = Number(process.env["USERCAST_ROUNDS"] ?? 1);

test("what a Redis that flushes every second loses is told, and everything that it keeps arrives in order and once", {
  timeout: 120_000 + ROUNDS * 10_000,
}, async () => {
  const seed = announcedSeed("redis-rewound.test.ts");
  const redis = owned(await RedisServer.start("--appendfsync", "everysec"));
  const nodes: readonly TestServer[] = [owned(await startNode(redis.url)), owned(await startNode(redis.url))];
  const sdk = await loadSdk(nodes[0] as TestServer);
  const crowd = await Crowd.start({ user: "ana", nodes, sdk, seed, tolerated: ["UNAVAILABLE"] });
  const random = seeded(seed - 1);
  const { accepted } = crowd.ledger;
  crowd.go();
  for (let rounds = 0; rounds < ROUNDS; rounds++) {
    const before = accepted.size;
    await until("some more are accepted", () => accepted.size > before + 20);
    // Who brings no place is found by what the store knows of them, once they were given something.
    const plainIsKnown = async (): Promise<boolean> => {
      const [devices = ""] = await redis.client.keys("usercast:*:d");
      return (await redis.client.hexists(devices, "plain")) === 1;
    };
    await until("the store knows of plain clients", plainIsKnown);
    const flushed = await redis.logBytes();
    await delay(random() * 900);
    await redis.kill();
    await redis.cutLog(flushed);
    await delay(random() * 500);
    await redis.restart();
  }
  await crowd.finish();
  const log = await readLog(nodes[0] as TestServer, "ana");
  const lost = [...accepted.keys()].filter((data) => !log.includes(data));
  console.log(`redis-rewound.test.ts: ${lost.length} of ${accepted.size} were accepted and lost`);
  expect(lost.length).toBeGreaterThan(0);
  expect(crowd.trouble).toEqual([]);
  const pages = crowd.pages;
  expect(brokenAfterLoss({ accepted: new Set(accepted.keys()), log, pages, plain: crowd.connections() })).toEqual([]);
});
