import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { redis } from "../../src/broker/redis.ts";
import type { Broker, Draft, PublishResult } from "../../src/ports.ts";
import { brokerContract } from "../../src/testing/contract.ts";
import { boundedByServer } from "./bounds.ts";
import { draft, recorder } from "./messages.ts";
import { startCluster, type TestCluster, type TestServer, waitFor } from "./server.ts";

let cluster: TestCluster;
let stores = 0;

beforeAll(async () => {
  cluster = await startCluster();
}, 120_000);
afterAll(() => cluster.stop());

brokerContract("redis, on a cluster", {
  ...boundedByServer,
  describe,
  open: async (limits) => {
    stores += 1;
    return redis({ client: cluster.client, prefix: `test-${stores}:`, ...limits });
  },
  elapse: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
});

/** Retries like a sender with keys does: until there is an answer. */
async function untilAccepted(broker: Broker, message: Draft): Promise<PublishResult> {
  for (;;) {
    const [result] = await broker.publish([message]);
    if (result !== undefined && result.state !== "failed") return result;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

describe("subscriptions to a cluster", () => {
  it("return when their connections are killed, and everybody is told to read", async () => {
    const broker = await redis({ client: cluster.client, prefix: "killed:", positionCheckMs: 2_000, warn: () => {} });
    const users = Array.from({ length: 30 }, (_, i) => `user-${i}`);
    const heard = users.map(() => recorder());
    await Promise.all(users.map((userId, i) => broker.subscribe(userId, heard[i]?.listener ?? recorder().listener)));
    for (const { client } of cluster.servers) await client.call("CLIENT", "KILL", "TYPE", "pubsub");
    await waitFor(() => heard.every(({ interruptions }) => interruptions > 0), "everybody is told");
    let round = 0;
    await waitFor(async () => {
      round += 1;
      await broker.publish(users.map((userId) => draft(userId, { text: `"m",${round}` })));
      await new Promise((resolve) => setTimeout(resolve, 50));
      return heard.every(({ entries }) => entries.at(-1)?.text === `"m",${round}`);
    }, "everybody hears again");
    await broker.close();
  });
});

describe("a cluster that loses a master", () => {
  it.each([
    {
      how: "is killed",
      index: 0,
      lose: (server: TestServer) => server.kill(),
      restore: (server: TestServer) => server.restart(),
    },
    {
      how: "hangs",
      index: 1,
      lose: async (server: TestServer) => server.pause(),
      restore: async (server: TestServer) => server.resume(),
    },
  ])(
    "which $how answers truthfully, loses nothing that its replica had, and is heard again",
    async ({ how, index, lose, restore }) => {
      const options = {
        client: cluster.client,
        prefix: `${how}:`,
        commandTimeoutMs: 3_000,
        positionCheckMs: 2_000,
        warn: () => {},
      };
      const broker = await redis(options);
      const master = cluster.servers[index];
      if (master === undefined) throw new Error("no master");
      try {
        const users = Array.from({ length: 30 }, (_, i) => `user-${i}`);
        const heard = users.map(() => recorder());
        await Promise.all(users.map((userId, i) => broker.subscribe(userId, heard[i]?.listener ?? recorder().listener)));
        const send = async (round: number): Promise<void> => {
          const sends = users.map((userId) =>
            untilAccepted(broker, draft(userId, { text: `"m",${round}`, key: { key: `k${round}`, digest: "d" } })),
          );
          await Promise.all(sends);
        };
        for (let round = 0; round < 20; round++) await send(round);
        // What a replica does not have yet goes with its master: that is what `replicas` is for.
        await waitFor(async () => (await master.client.wait(1, 1_000)) === 1, "the replica has everything");
        await lose(master);
        for (let round = 20; round < 40; round++) await send(round);
        for (const userId of users) {
          const { entries } = await broker.read(userId, 0, 100);
          expect(entries.map(({ text }) => text)).toEqual(Array.from({ length: 40 }, (_, round) => `"m",${round}`));
          expect(entries.map(({ offset }) => offset)).toEqual(Array.from({ length: 40 }, (_, i) => i + 1));
        }
        // Everybody hears again what comes now, without being asked to read.
        let round = 40;
        await waitFor(async () => {
          await send(round);
          round += 1;
          await new Promise((resolve) => setTimeout(resolve, 50));
          return heard.every(({ entries }) => entries.at(-1)?.text === `"m",${round - 1}`);
        }, "everybody is subscribed again");
        expect(heard.every(({ interruptions }) => interruptions > 0)).toBe(true);
      } finally {
        await broker.close();
        await restore(master);
      }
    },
    120_000,
  );
});

describe("a master that hands its slots over", () => {
  it("is followed, also by what waits for replicas", async () => {
    await cluster.whole();
    const broker = await redis({ client: cluster.client, prefix: "moved:", replicas: 1, warn: () => {} });
    const users = Array.from({ length: 30 }, (_, i) => `user-${i}`);
    // Nothing but publishes is under way, which are answered `MOVED` from now on.
    const publish = (): Promise<readonly PublishResult[]> => broker.publish(users.map((userId) => draft(userId)));
    const first = await publish();
    expect(first.map(({ state }) => state)).toEqual(users.map(() => "accepted"));
    const isReplica = async ({ client }: TestServer): Promise<boolean> => (await client.role())[0] === "slave";
    const states = await Promise.all(cluster.servers.map(isReplica));
    for (const replica of cluster.servers.filter((_, i) => states[i])) {
      await replica.client.cluster("FAILOVER");
      await waitFor(async () => !(await isReplica(replica)), "it is the master");
    }
    const second = await publish();
    expect(second).toMatchObject(users.map(() => ({ state: "accepted", offset: 2 })));
    await broker.close();
  });
});
