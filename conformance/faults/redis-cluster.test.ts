import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { brokenAfterLoss } from "../support/after-loss.ts";
import { Crowd } from "../support/crowd.ts";
import { readLog } from "../support/http.ts";
import { startNode } from "../support/node.ts";
import { owned } from "../support/owned.ts";
import { announcedSeed, seeded } from "../support/random.ts";
import { RedisCluster, type RedisServer } from "../support/redis.ts";
import { loadSdk } from "../support/sdk.ts";
import type { TestServer } from "../support/server.ts";
import { until } from "../support/wait.ts";

// Two nodes on three masters and their replicas, of which a master dies under load.

/** `npm run faults` asks for more. */
const ROUNDS = Number(process.env["USERCAST_ROUNDS"] ?? 1);
/** Of several slots, so that some are hit and some are not. */
const USERS = ["ana", "bo", "cy"];
const FAILOVER_MS = 30_000;

test("a master that dies takes nothing with it that was accepted with a replica, and everybody goes on", {
  timeout: 180_000 + ROUNDS * 60_000,
}, async () => {
  const seed = announcedSeed("redis-cluster.test.ts");
  const cluster = owned(await RedisCluster.start());
  const broker = { replicas: 1 };
  const nodes = [owned(await startNode(cluster.url, { broker })), owned(await startNode(cluster.url, { broker }))] as const;
  const sdk = await loadSdk(nodes[0]);
  const crowds: Crowd[] = [];
  for (const [i, user] of USERS.entries()) {
    crowds.push(await Crowd.start({ user, nodes, sdk, seed: seed + 100 * i, tolerated: ["UNAVAILABLE"] }));
  }
  const random = seeded(seed - 1);
  const accepted = (): number => crowds.reduce((sum, { ledger }) => sum + ledger.accepted.size, 0);
  for (const crowd of crowds) crowd.go();
  for (let rounds = 0; rounds < ROUNDS; rounds++) {
    await more(accepted, 60);
    const masters = await cluster.masters();
    const victim = masters[Math.floor(random() * masters.length)] as RedisServer;
    const others = cluster.servers.filter((server) => server !== victim);
    await victim.kill();
    const isReplaced = async (): Promise<boolean> => (await cluster.masters(others)).length === 3;
    await until("a replica has taken over", isReplaced, FAILOVER_MS);
    await delay(random() * 500);
    await victim.restart();
    await until("the cluster is whole again", () => cluster.isWhole(), FAILOVER_MS);
    await more(accepted, 60);
  }
  for (const crowd of crowds) {
    await crowd.finish();
    const log = await readLog(nodes[1] as TestServer, crowd.user);
    const all = new Set(crowd.ledger.accepted.keys());
    expect([...all].filter((data) => !log.includes(data))).toEqual([]);
    expect(crowd.trouble).toEqual([]);
    // What a replica did not have was not accepted, and yet somebody may have been given it: then they were told.
    expect(brokenAfterLoss({ accepted: all, log, pages: crowd.pages, plain: crowd.connections() })).toEqual([]);
  }
});

async function more(accepted: () => number, count: number): Promise<void> {
  const before = accepted();
  await until(`${count} more are accepted`, () => accepted() >= before + count, FAILOVER_MS);
}
