import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { describeUser, heard } from "../support/http.ts";
import { startNode } from "../support/node.ts";
import { numbered } from "../support/order.ts";
import { owned } from "../support/owned.ts";
import { NEWEST, plainClient } from "../support/plain.ts";
import { RedisServer } from "../support/redis.ts";
import type { TestServer } from "../support/server.ts";
import { until } from "../support/wait.ts";

// Presence on nodes that die, and on a Redis that only seems to be the end of them.

const LEASE_MS = 2_000;
const USERS = 25;
/** Who loses the connection stays away, so that nobody is missed because of a reconnect that came late. */
const WITHOUT_RETURN = { transports: ["websocket"], reconnection: false };

/** So many users at a node. */
async function join(node: TestServer, name: string): Promise<readonly string[]> {
  const users = numbered(name, USERS);
  for (const user of users) plainClient(NEWEST, node.url, user, WITHOUT_RETURN);
  // Those who are still on their way when Redis goes away are sent away, to try again.
  for (const user of users) {
    await until(`${user} is live`, async () => (await describeUser(node, user)).connections[0]?.state === "live");
  }
  return users;
}

/** Who was said to have gone by any of the nodes, each as often as it was said. */
async function goneBy(nodes: readonly TestServer[]): Promise<readonly string[]> {
  const all = await Promise.all(nodes.map(heard));
  return all.flatMap(({ events }) => events.filter(({ event }) => event === "offline").map(({ userId }) => userId));
}

test("only a dead node's users go offline, each once: not those whose nodes a Redis that hung or died kept from saying that they live", {
  timeout: 120_000,
}, async () => {
  const redis = owned(await RedisServer.start());
  const start = async () => owned(await startNode(redis.url, { usercast: { leaseMs: LEASE_MS } }));
  const [dying, ...others] = [await start(), await start(), await start()] as const;
  const theirs = await join(dying, "of the dying");
  await join(others[0], "of another");

  redis.pause();
  await delay(2 * LEASE_MS);
  redis.resume();
  // Whoever would be said to have gone is after everybody had a lease's time to say otherwise.
  await delay(1.5 * LEASE_MS);
  expect(await goneBy([dying, ...others])).toEqual([]);

  await redis.kill();
  await delay(2 * LEASE_MS);
  await redis.restart();
  await delay(1.5 * LEASE_MS);
  expect(await goneBy([dying, ...others])).toEqual([]);
  for (const node of [dying, ...others]) expect(await heard(node)).toMatchObject({ users: 2 * USERS, connections: 2 * USERS });

  const killedAt = performance.now();
  await dying.kill();
  await until("all of them are offline", async () => (await goneBy(others)).length >= USERS);
  const seconds = ((performance.now() - killedAt) / 1_000).toFixed(1);
  console.log(`redis-presence.test.ts: offline ${seconds} s after kill -9, with a lease of ${LEASE_MS / 1_000} s`);
  await delay(LEASE_MS);
  expect([...(await goneBy(others))].sort()).toEqual([...theirs].sort());
  for (const node of others) expect(await heard(node)).toMatchObject({ users: USERS, connections: USERS });
});
