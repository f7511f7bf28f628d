import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { Crowd } from "../support/crowd.ts";
import { startNode } from "../support/node.ts";
import { owned, shared } from "../support/owned.ts";
import { announcedSeed, seeded } from "../support/random.ts";
import { RedisServer } from "../support/redis.ts";
import { loadSdk } from "../support/sdk.ts";
import type { TestServer } from "../support/server.ts";

// The first promises, on two nodes over one Redis that are killed in turn, while their clients go from one to the other.

/** `npm run faults` asks for more. */
const KILLS = Number(process.env["USERCAST_NODE_KILLS"] ?? 3);
/** Between a start and the next kill: from before the first client is back to well into the stream. */
const MIN_LIFE_MS = 100;
const MAX_LIFE_MS = 1_500;

const store = shared(() => RedisServer.start());

test(`of what is accepted, ${KILLS} kills of one node or the other lose nothing, turn nothing around and repeat nothing`, {
  timeout: 90_000 + KILLS * 6_000,
}, async () => {
  const seed = announcedSeed("redis-nodes.test.ts, kills");
  const nodes: readonly TestServer[] = [owned(await startNode(store().url)), owned(await startNode(store().url))];
  const sdk = await loadSdk(nodes[0] as TestServer);
  const crowd = await Crowd.start({ user: "ana", nodes, sdk, seed, isRough: true });
  const random = seeded(seed - 1);
  crowd.go();
  for (let kills = 0; kills < KILLS; kills++) {
    await delay(MIN_LIFE_MS + random() * (MAX_LIFE_MS - MIN_LIFE_MS));
    const victim = nodes[Math.floor(random() * nodes.length)] as TestServer;
    await victim.kill();
    // Everybody has to go to the other one: the dead one does not come back at once.
    await delay(random() * MAX_LIFE_MS);
    await victim.restart();
  }
  await crowd.finish();
  expect(crowd.broken()).toEqual([]);
});
