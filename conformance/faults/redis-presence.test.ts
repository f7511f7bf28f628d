import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { describeUser, heard } from "../support/http.ts";
import { LEASE_MS, startNode } from "../support/node.ts";
import { numbered } from "../support/order.ts";
import { owned } from "../support/owned.ts";
import { NEWEST, plainClient } from "../support/plain.ts";
import { RedisServer } from "../support/redis.ts";
import type { TestServer } from "../support/server.ts";
import { until } from "../support/wait.ts";

// Presence on nodes that die, and on a Redis that only seems to be the end of them.

const USERS = 30;
/** Nobody who is killed is missed before this is over: a node's clients must not come back meanwhile. */
const STAYS_AWAY = { transports: ["websocket"], reconnection: false };

/** So many users at a node. */
async function join(node: TestServer, name: string): Promise<readonly string[]> {
  const users = numbered(name, USERS);
  for (const user of users) plainClient(NEWEST, node.url, user, STAYS_AWAY);
  // Those who are still on their way when Redis goes away are sent away, to try again.
  for (const user of users) {
    await until(`${user} is live`, async () => (await describeUser(node, user)).connections[0]?.state === "live");
  }
  return users;
}

/** Who was said to have gone by any of the nodes, each as often as it was said. */
const goneBy = async (...nodes: readonly TestServer[]): Promise<readonly string[]> => {
  const all = await Promise.all(nodes.map(heard));
  return all.flatMap(({ events }) => events.filter(({ event }) => event === "offline").map(({ userId }) => userId));
};

test("a killed node's users go offline within the lease, each once, and nobody else does", async () => {
  const redis = owned(await RedisServer.start());
  const nodes = await Promise.all(
    [startNode(redis.url), startNode(redis.url), startNode(redis.url)].map(async (one) => owned(await one)),
  );
  const [dying, ...others] = nodes as [TestServer, ...TestServer[]];
  const theirs = await join(dying, "of the dying");
  await join(others[0] as TestServer, "of another");
  // A node that has just come cannot know whether others are silent because they are dead.
  await delay(LEASE_MS);
  const killedAt = performance.now();
  await dying.kill();
  await until("all of them are offline", async () => (await goneBy(...others)).length >= USERS, 4 * LEASE_MS);
  const seconds = (performance.now() - killedAt) / 1_000;
  console.log(`redis-presence.test.ts: offline ${seconds.toFixed(1)} s after kill -9, with a lease of ${LEASE_MS / 1_000} s`);
  // Whoever else would still be said to have gone, had a lease's time for it.
  await delay(LEASE_MS);
  expect([...(await goneBy(...others))].sort()).toEqual([...theirs].sort());
  for (const node of others) expect(await heard(node)).toMatchObject({ users: USERS, connections: USERS });
});

test.each([
  [
    "hangs",
    async (redis: RedisServer) => {
      redis.pause();
      await delay(2 * LEASE_MS);
      redis.resume();
    },
  ],
  [
    "is killed and started again",
    async (redis: RedisServer) => {
      await redis.kill();
      await delay(2 * LEASE_MS);
      await redis.restart();
    },
  ],
] as const)("nobody goes offline because Redis %s for two leases", async (_, strike) => {
  const redis = owned(await RedisServer.start());
  const nodes = [owned(await startNode(redis.url)), owned(await startNode(redis.url))] as const;
  for (const [i, node] of nodes.entries()) await join(node, `at node ${i}`);
  await strike(redis);
  await delay(2 * LEASE_MS);
  expect(await goneBy(...nodes)).toEqual([]);
  for (const node of nodes) {
    await until("all are counted", async () => (await heard(node)).users === 2 * USERS);
    expect(await heard(node)).toMatchObject({ users: 2 * USERS, connections: 2 * USERS });
  }
});
