import { Cluster, Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type RedisOptions, redis } from "../../src/broker/redis.ts";
import { startServer, type TestServer } from "./server.ts";

/** How a broker fails to start. */
async function refusal(options: RedisOptions): Promise<{ readonly code: string; readonly message: string }> {
  const broker = await redis({ commandTimeoutMs: 2_000, ...options }).catch((error: unknown) => error);
  if (broker instanceof Error && "code" in broker) return { code: String(broker.code), message: broker.message };
  throw new Error("it started");
}

describe("a broker on Redis", () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await startServer("--appendonly", "no", "--requirepass", "right horse");
  });
  afterAll(() => server.stop());

  it("refuses options that contradict each other or are out of range", async () => {
    const { url } = server;
    for (const [options, text] of [
      [{}, "either a client or a url"],
      [{ url, client: server.client }, "either a client or a url"],
      [{ url: "http://localhost" }, "redis://"],
      [{ url, prefix: "a{b}" }, "braces"],
      [{ url, durability: "always" as "aof" }, "durability"],
      [{ url, replicas: -1 }, "replicas must be a whole number"],
      [{ url, commandTimeoutMs: 0 }, "commandTimeoutMs must be a positive"],
      [{ url, positionChecksPerSecond: 1.5 }, "positionChecksPerSecond"],
      [{ url, retentionMs: 0 }, "retentionMs"],
    ] as const) {
      const { code, message } = await refusal(options);
      expect(code).toBe("INVALID_OPTIONS");
      expect(message).toContain(text);
    }
  });

  it("refuses a server without its append-only file, unless that is meant", async () => {
    const { code, message } = await refusal({ url: server.url });
    expect(code).toBe("INVALID_OPTIONS");
    expect(message).toContain("appendonly");
    const broker = await redis({ url: server.url, durability: "relaxed" });
    expect(broker.name).toBe("redis");
    await broker.close();
  });

  it("says so when the password is wrong or missing", async () => {
    for (const password of ["wrong:horse", ""]) {
      const { code, message } = await refusal({ url: `redis://${password && `:${password}@`}127.0.0.1:${server.port}` });
      expect(code).toBe("INVALID_OPTIONS");
      expect(message).toContain("user and password");
    }
  });

  it("says so when a user of Redis may not do what it must", async () => {
    await server.client.acl("SETUSER", "reader", "on", ">pw", "~*", "&*", "+@all", "-evalsha", "-eval");
    const { code, message } = await refusal({ url: `redis://reader:pw@127.0.0.1:${server.port}`, durability: "relaxed" });
    expect(code).toBe("INVALID_OPTIONS");
    expect(message).toContain("may not do");
  });

  it("refuses a policy that drops what was accepted", async () => {
    await server.client.config("SET", "maxmemory-policy", "allkeys-lru");
    const { code, message } = await refusal({ url: server.url, durability: "relaxed" });
    await server.client.config("SET", "maxmemory-policy", "noeviction");
    expect(code).toBe("INVALID_OPTIONS");
    expect(message).toContain("noeviction");
  });

  it("refuses a prefix that another application uses, and a format of another version", async () => {
    await server.client.rpush("taken:format", "x");
    const taken = await refusal({ url: server.url, prefix: "taken:", durability: "relaxed" });
    expect(taken.code).toBe("INVALID_OPTIONS");
    expect(taken.message).toContain("another application");
    await server.client.set("later:format", "2");
    expect((await refusal({ url: server.url, prefix: "later:", durability: "relaxed" })).code).toBe("STORE_FORMAT");
  });

  it("refuses a replica, which cannot be written to", async () => {
    const replica = await startServer("--replicaof", "127.0.0.1", String(server.port), "--masterauth", "right horse");
    const { code, message } = await refusal({ url: replica.url });
    await replica.stop();
    expect(code).toBe("UNAVAILABLE");
    expect(message).toContain("replica");
  });

  it("tells clusters from single servers", async () => {
    const member = await startServer("--cluster-enabled", "yes");
    const { code, message } = await refusal({ url: member.url });
    await member.stop();
    expect(code).toBe("INVALID_OPTIONS");
    expect(message).toContain("Cluster");
    const options = { lazyConnect: true, redisOptions: { password: "right horse" } };
    const client = new Cluster([{ host: "127.0.0.1", port: server.port }], options);
    const single = await refusal({ client });
    client.disconnect();
    expect(single.code).toBe("INVALID_OPTIONS");
    expect(single.message).toContain("no cluster");
  });

  it("does not wait for a server that is not there, or does not answer", async () => {
    const { code, message } = await refusal({ url: "redis://127.0.0.1:1" });
    expect(code).toBe("UNAVAILABLE");
    expect(message).toContain("cannot be reached");
    server.pause();
    const hung = await refusal({ url: server.url, commandTimeoutMs: 300 });
    server.resume();
    expect(hung.code).toBe("UNAVAILABLE");
  });

  it("leaves the client it was given as it is, and takes over its prefix and its database", async () => {
    const client = new Redis({ port: server.port, password: "right horse", db: 3, keyPrefix: "app:" });
    const broker = await redis({ client, durability: "relaxed" });
    await broker.publish([{ id: "1", userId: "ana", text: '"m",1', bytes: 5, ttlMs: 60_000 }]);
    await broker.close();
    expect(await client.ping()).toBe("PONG");
    const keys = await client.keys("*");
    client.disconnect();
    expect(keys.length).toBeGreaterThan(0);
    // Channels know no databases, so that the name must.
    expect(keys.filter((key) => !key.startsWith("app:3:usercast:"))).toEqual([]);
  });
});
