import { Redis } from "ioredis";
import { afterAll, beforeAll, expect, it } from "vitest";
import { redis } from "../../src/broker/redis.ts";
import { draft, recorder } from "./messages.ts";
import { startSentinel, startServer, type TestServer, waitFor } from "./server.ts";

let master: TestServer;
let replica: TestServer;
let sentinel: Awaited<ReturnType<typeof startSentinel>>;

beforeAll(async () => {
  master = await startServer();
  replica = await startServer("--replicaof", "127.0.0.1", String(master.port));
  sentinel = await startSentinel(master);
});
afterAll(async () => {
  await sentinel.stop();
  await replica.stop();
  await master.stop();
});

it("a master that Sentinels replace costs nothing that its replica had, and everybody hears of what comes after", async () => {
  const client = new Redis({ sentinels: [{ host: "127.0.0.1", port: sentinel.port }], name: "main", lazyConnect: true });
  const broker = await redis({ client, replicas: 0, warn: () => {} });
  const ana = recorder();
  await broker.subscribe("ana", ana.listener);
  const send = async (n: number): Promise<void> => {
    const message = draft("ana", { text: `"m",${n}`, key: { key: `k${n}`, digest: "d" } });
    await waitFor(async () => (await broker.publish([message]))[0]?.state !== "failed", "it is accepted");
  };
  for (let n = 1; n <= 10; n++) await send(n);
  await waitFor(async () => (await master.client.wait(1, 1_000)) === 1, "the replica has everything");
  await master.kill();
  for (let n = 11; n <= 20; n++) await send(n);
  const { entries } = await broker.read("ana", 0, 100);
  expect(entries.map(({ text }) => text)).toEqual(Array.from({ length: 20 }, (_, i) => `"m",${i + 1}`));
  await waitFor(() => ana.interruptions > 0, "ana is told to read");
  await send(21);
  await waitFor(() => ana.entries.at(-1)?.offset === 21, "ana hears");
  expect(await replica.client.info("replication")).toContain("role:master");
  await broker.close();
  client.disconnect();
});
