import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { keysOf } from "../../src/broker/redis/keys.ts";
import { redis } from "../../src/broker/redis.ts";
import type { Broker } from "../../src/ports.ts";
import { draft, recorder } from "./messages.ts";
import { startServer, type TestServer, waitFor } from "./server.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server.stop());

describe("names that could break something", () => {
  it("keep the keys of each user in one slot, and users apart", async () => {
    const prefix = "préfixe mit Leerzeichen 📮:";
    const broker = await redis({ url: server.url, prefix });
    const ids = ["{", "}", "{}", "{a}", "a}{b", "a b", " ", "ä", "a\u0308", "日本", "📷", ":", "*", "m", "{0}:m"];
    const heard = ids.map(() => recorder());
    await Promise.all(ids.map((id, i) => broker.subscribe(id, heard[i]?.listener ?? recorder().listener)));
    await broker.publish(
      ids.map((id) => draft(id, { text: `"m",${JSON.stringify(id)}`, key: { key: "k", digest: id }, from: id })),
    );
    await waitFor(() => heard.every(({ entries }) => entries.length === 1), "everybody hears");
    for (const [i, id] of ids.entries()) {
      const text = `"m",${JSON.stringify(id)}`;
      expect((await broker.read(id, 0, 10)).entries).toMatchObject([{ text, from: id, key: "k" }]);
      expect(heard[i]?.entries).toMatchObject([{ text }]);
      expect(await broker.recall(id, id, "k")).toMatchObject({ position: { offset: 1 } });
      const { mailbox, log, devices, generation, store, key, channel } = keysOf(prefix, id);
      const slots = await Promise.all(
        [mailbox, log, devices, generation, store, key("x"), channel].map((name) => hashTagOf(name)),
      );
      expect(new Set(slots).size).toBe(1);
    }
    await broker.close();
  });

  /** What a cluster hashes: what stands between the first brace and the first that closes it. */
  const hashTagOf = (name: string): string => /\{([^}]+)\}/.exec(name)?.[1] ?? name;
});

describe("a key of another type", () => {
  let broker: Broker;
  let prefix: string;
  let count = 0;
  beforeEach(async () => {
    count += 1;
    prefix = `wrong-${count}:`;
    broker = await redis({ url: server.url, prefix });
  });
  afterEach(() => broker.close());

  it.each(["mailbox", "log", "devices", "generation", "store"] as const)(
    "under %s fails its message alone, and changes nothing",
    async (name) => {
      const keys = keysOf(prefix, "ana");
      await server.client.del(keys[name]);
      await server.client.sadd(keys[name], "other");
      const before = (await server.client.keys(`${prefix}*`)).toSorted();
      const results = await broker.publish([draft("bo"), draft("ana"), draft("bo")]);
      expect(results).toMatchObject([
        { state: "accepted", offset: 1 },
        { state: "failed", error: { code: "STORE_FAILED" } },
        { state: "accepted", offset: 2 },
      ]);
      expect(await server.client.smembers(keys[name])).toEqual(["other"]);
      const others = (await server.client.keys(`${prefix}*`)).filter((key) => key.startsWith(keys.mailbox.slice(0, -1)));
      expect(others.filter((key) => !before.includes(key))).toEqual([]);
    },
  );

  it("under an idempotency key likewise", async () => {
    const keys = keysOf(prefix, "ana");
    await server.client.sadd(keys.key("\0k"), "other");
    const results = await broker.publish([draft("ana", { key: { key: "k", digest: "d" } }), draft("ana")]);
    expect(results).toMatchObject([
      { state: "failed", error: { code: "STORE_FAILED" } },
      { state: "accepted", offset: 1 },
    ]);
  });
});

describe("a server whose memory has run out", () => {
  it("refuses messages with STORE_FULL, each for itself, and lets readers go on", async () => {
    const broker = await redis({ url: server.url, prefix: "full:" });
    const text = `"m","${"x".repeat(20_000)}"`;
    const key = { key: "k", digest: "d" };
    const [first] = await broker.publish([draft("ana", { key }), draft("ana")]);
    const { epoch } = await broker.position("ana");
    const used = Number(/used_memory:(\d+)/.exec(await server.client.info("memory"))?.[1]);
    await server.client.config("SET", "maxmemory", String(used + 300_000));
    let last = "accepted";
    for (let n = 0; n < 100 && last === "accepted"; n++) {
      const [result] = await broker.publish([draft("bo", { text })]);
      last = result?.state === "failed" ? result.error.code : "accepted";
    }
    expect(last).toBe("STORE_FULL");
    // Where what a server holds for its clients shrinks again, there would be room for one more.
    await server.client.config("SET", "maxmemory", String(used + 100_000));
    // What was accepted before is still answered for.
    const results = await broker.publish([draft("ana", { key }), draft("ana", { text }), draft("nobody", { text })]);
    expect(results).toMatchObject([
      { ...first, state: "duplicate" },
      { state: "failed", error: { code: "STORE_FULL" } },
      { state: "failed", error: { code: "STORE_FULL" } },
    ]);
    expect((await broker.read("ana", 0, 10)).entries.length).toBe(2);
    await broker.advance("ana", "phone", epoch, { delivered: 2 });
    expect((await broker.position("ana")).devices.get("phone")?.delivered).toBe(2);
    await server.client.config("SET", "maxmemory", String(used + 300_000));
    await broker.purge("bo");
    expect(await broker.publish([draft("ana")])).toMatchObject([{ state: "accepted", offset: 3 }]);
    await server.client.config("SET", "maxmemory", "0");
    await broker.close();
  });
});
