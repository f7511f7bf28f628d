import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { keysOf } from "../../src/broker/redis/keys.ts";
import { Publisher } from "../../src/broker/redis/publisher.ts";
import { evaluate } from "../../src/broker/redis/scripts.ts";
import { redis } from "../../src/broker/redis.ts";
import type { Broker } from "../../src/ports.ts";
import { draft, recorder } from "./messages.ts";
import { startServer, type TestServer, waitFor } from "./server.ts";

const PREFIX = "usercast:";
let server: TestServer;
let broker: Broker;

beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server.stop());
beforeEach(async () => {
  broker = await redis({ url: server.url, positionCheckMs: 300, unsubscribeAfterMs: 200 });
});
afterEach(() => broker.close());

/** How often a command was called since the server was told to count anew. */
async function calls(command: string): Promise<number> {
  const stats = await server.client.info("commandstats");
  return Number(new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(stats)?.[1] ?? 0);
}

const channels = async (): Promise<number> => ((await server.client.pubsub("CHANNELS", `${PREFIX}*`)) as string[]).length;

describe("a hint that is lost", () => {
  it("is made up for, also when nothing follows it", async () => {
    const ana = recorder();
    const bo = recorder();
    await broker.subscribe("ana", ana.listener);
    await broker.subscribe("bo", bo.listener);
    await broker.publish([draft("ana"), draft("bo")]);
    await waitFor(() => ana.entries.length === 1 && bo.entries.length === 1, "both hear");
    const { channel } = keysOf(PREFIX, "ana");
    const mute = new Publisher({
      run: (keys, args) => {
        const elsewhere = args.map((arg) => (arg === channel ? "elsewhere" : arg));
        return evaluate(server.client, "publish", keys, elsewhere);
      },
      prefix: PREFIX,
      limits: JSON.stringify({
        messages: 100,
        bytes: 1e6,
        retention: 1e6,
        reject: false,
        key: 1e6,
        life: 1e6,
        day: 1e6,
        looked: 10,
      }),
      command: "PUBLISH",
      isCluster: false,
      timeoutMs: 1_000,
      maxPendingWrites: 10,
    });
    expect(await mute.publish(draft("ana"))).toMatchObject({ state: "accepted", offset: 2 });
    await waitFor(() => ana.interruptions > 0, "ana is told to read");
    expect((await broker.read("ana", 1, 10)).entries.length).toBe(1);
    const rounds = await calls("evalsha");
    await waitFor(async () => (await calls("evalsha")) > rounds + 5, "some rounds are over");
    // Once each: what was read is known, and who lost nothing is left alone.
    expect([ana.interruptions <= 2, bo.interruptions]).toEqual([true, 0]);
  });

  it("with the whole store is found as well", async () => {
    const ana = recorder();
    const never = recorder();
    await broker.subscribe("ana", ana.listener);
    await broker.subscribe("never", never.listener);
    await broker.publish([draft("ana")]);
    const before = [(await broker.position("ana")).epoch, (await broker.position("never")).epoch];
    await server.client.flushall();
    await waitFor(() => ana.interruptions > 0 && never.interruptions > 0, "both are told to read");
    const after = [(await broker.read("ana", 0, 1)).epoch, (await broker.read("never", 0, 1)).epoch];
    expect(after.filter((epoch) => before.includes(epoch))).toEqual([]);
    expect(await broker.publish([draft("ana")])).toMatchObject([{ state: "accepted", offset: 1, epoch: after[0] }]);
  });
});

it("a flushed store is found by whoever reads first, and everybody is told", async () => {
  const slow = await redis({ url: server.url, positionCheckMs: 600_000 });
  const ana = recorder();
  await slow.subscribe("ana", ana.listener);
  await slow.publish([draft("ana")]);
  await waitFor(() => ana.entries.length === 1, "ana hears");
  await server.client.flushall();
  await slow.position("ana");
  expect(ana.interruptions).toBe(1);
  await slow.position("ana");
  expect(ana.interruptions).toBe(1);
  await slow.close();
});

describe("subscriptions", () => {
  it("are made and ended many at a time, and kept for who comes back at once", async () => {
    await server.client.config("RESETSTAT");
    const users = Array.from({ length: 1_000 }, (_, i) => `user-${i}`);
    const { listener } = recorder();
    const ends = await Promise.all(users.map((user) => broker.subscribe(user, listener)));
    expect(await channels()).toBe(1_000);
    expect(await calls("subscribe")).toBe(2);
    await Promise.all(ends.map((end) => end()));
    expect(await channels()).toBe(1_000);
    const ana = recorder();
    await broker.subscribe("user-1", ana.listener);
    await waitFor(async () => (await channels()) === 1, "the others are ended");
    expect(await calls("subscribe")).toBe(2);
    expect(await calls("unsubscribe")).toBeLessThan(10);
    await broker.publish([draft("user-1")]);
    await waitFor(() => ana.entries.length === 1, "who came back hears");
  });

  it("cost the server two calls at most for each turn of the loop in which messages were sent", async () => {
    const users = Array.from({ length: 500 }, (_, i) => `user-${i}`);
    await broker.publish(users.map((user) => draft(user)));
    await server.client.config("RESETSTAT");
    await broker.publish(users.map((user) => draft(user)));
    expect(await calls("evalsha")).toBeLessThanOrEqual(3);
  });
});
