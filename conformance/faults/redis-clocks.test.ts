import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { Crowd } from "../support/crowd.ts";
import { describeUser, heard } from "../support/http.ts";
import { LEASE_MS, startNode } from "../support/node.ts";
import { owned, shared } from "../support/owned.ts";
import { NEWEST, plainClient } from "../support/plain.ts";
import { announcedSeed } from "../support/random.ts";
import { RedisServer } from "../support/redis.ts";
import { loadSdk } from "../support/sdk.ts";
import type { TestServer } from "../support/server.ts";
import { until } from "../support/wait.ts";

// Nodes whose clocks disagree by minutes: what is due when is a matter of the store's clock alone.

const MINUTE_MS = 60_000;
const STREAM_MS = 2_000;

const store = shared(() => RedisServer.start());
const startNodes = async (): Promise<readonly TestServer[]> => {
  const skews = [-7 * MINUTE_MS, 0, 11 * MINUTE_MS];
  return Promise.all(skews.map(async (skewMs) => owned(await startNode(store().url, { skewMs }))));
};

test("nothing is lost, turned around, repeated or reported as missed, also when one of them is killed", {
  timeout: 120_000,
}, async () => {
  const seed = announcedSeed("redis-clocks.test.ts");
  const nodes = await startNodes();
  const [behind, right] = nodes as [TestServer, TestServer, TestServer];
  const crowd = await Crowd.start({ user: "ana", nodes, sdk: await loadSdk(right), seed, isRough: true });
  crowd.go();
  await delay(STREAM_MS);
  await behind.kill();
  await delay(STREAM_MS / 2);
  await behind.restart();
  await delay(STREAM_MS);
  await crowd.finish();
  expect(crowd.broken()).toEqual([]);
});

test("a living node's users are online for all, a dead node's go offline within the lease, and since when they were last seen is agreed", {
  timeout: 60_000,
}, async () => {
  const nodes = await startNodes();
  const [behind, right, ahead] = nodes as [TestServer, TestServer, TestServer];
  const users = ["bo", "cy", "di"];
  for (const [i, user] of users.entries()) {
    plainClient(NEWEST, (nodes[i] as TestServer).url, user, { transports: ["websocket"], reconnection: false });
  }
  const isOnline = async (node: TestServer, user: string): Promise<boolean> => (await describeUser(node, user)).online;
  for (const node of nodes) {
    for (const user of users) await until(`${user} is online`, () => isOnline(node, user));
  }
  await delay(2 * LEASE_MS);
  const gone = (await Promise.all(nodes.map(heard))).flatMap(({ events }) => events.filter(({ event }) => event === "offline"));
  expect(gone.filter(({ userId }) => users.includes(userId))).toEqual([]);

  await ahead.kill();
  const killedAt = Date.now();
  for (const node of [behind, right]) await until("di is offline", async () => !(await isOnline(node, "di")));
  const seen = await Promise.all([behind, right].map(async (node) => (await describeUser(node, "di")).lastSeen ?? 0));
  expect(seen[0]).toBe(seen[1]);
  expect(Math.abs((seen[0] ?? 0) - killedAt)).toBeLessThan(2 * LEASE_MS);
  for (const node of [behind, right]) {
    for (const user of ["bo", "cy"]) expect(await isOnline(node, user)).toBe(true);
  }
});
