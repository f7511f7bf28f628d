import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { keysOf } from "../../src/broker/redis/keys.ts";
import { redis } from "../../src/broker/redis.ts";
import { draft } from "./messages.ts";
import { startProxy } from "./proxy.ts";
import { startServer, type TestServer, waitFor } from "./server.ts";

let master: TestServer;
let replica: TestServer;

beforeAll(async () => {
  master = await startServer();
  replica = await startServer("--replicaof", "127.0.0.1", String(master.port));
  await waitFor(
    async () => (await replica.client.info("replication")).includes("master_link_status:up"),
    "the replica has caught up",
  );
});
afterAll(async () => {
  await replica.stop();
  await master.stop();
});

describe("replicas that must have a message", () => {
  it("have it when it is answered", async () => {
    const broker = await redis({ url: master.url, replicas: 1 });
    for (let n = 1; n <= 20; n++) {
      expect(await broker.publish([draft("ana", { text: `"m",${n}` }), draft("bo")])).toMatchObject([
        { state: "accepted", offset: n },
        { state: "accepted", offset: n },
      ]);
      const { mailbox } = keysOf("usercast:", "ana");
      expect(await replica.client.hget(mailbox, "head")).toBe(String(n));
    }
    await broker.close();
  });

  it("are asked again when the answer was lost, and the message is there once", async () => {
    const proxy = await startProxy(master.port);
    const broker = await redis({ url: proxy.url, replicas: 1, prefix: "lost:" });
    const lost = proxy.loseAnswerTo('"m","x"');
    expect(await broker.publish([draft("ana", { text: '"m","x"' })])).toMatchObject([{ state: "accepted", offset: 1 }]);
    await lost;
    expect((await broker.position("ana")).head.offset).toBe(1);
    await broker.close();
    await proxy.stop();
  });

  it("fail it with UNAVAILABLE when too few have it in time, and a retry with its key tells the truth", async () => {
    const broker = await redis({ url: master.url, replicas: 1, commandTimeoutMs: 500, prefix: "few:" });
    const key = { key: "k", digest: "d" };
    replica.pause();
    const [result] = await broker.publish([draft("ana", { key })]);
    expect(result).toMatchObject({ state: "failed", error: { code: "UNAVAILABLE" } });
    expect(result?.state === "failed" && result.error.message).toContain("Only 0 of 1 replicas have the message;");
    const [again] = await broker.publish([draft("ana", { key })]);
    expect(again).toMatchObject({ state: "failed", error: { code: "UNAVAILABLE" } });
    replica.resume();
    await waitFor(async () => (await broker.publish([draft("ana", { key })]))[0]?.state === "duplicate", "the replica has it");
    expect((await broker.position("ana")).head.offset).toBe(1);
    await broker.close();
  });
});

describe("disks that must have a message", () => {
  it("have it when it is answered, on servers that can say so; others are refused", async () => {
    const info = await master.client.info("server");
    const [major = 0, minor = 0] = (/redis_version:([\d.]+)/.exec(info)?.[1] ?? "").split(".").map(Number);
    const opening = redis({ url: master.url, durability: "flushed", replicas: 1, commandTimeoutMs: 3_000, prefix: "disk:" });
    if (major < 7 || (major === 7 && minor < 2)) {
      await expect(opening).rejects.toMatchObject({ code: "INVALID_OPTIONS" });
      return;
    }
    const broker = await opening;
    expect(await broker.publish([draft("ana"), draft("bo")])).toMatchObject([{ state: "accepted" }, { state: "accepted" }]);
    // A disk that is behind is not waited for longer than a call may take.
    replica.pause();
    expect(await broker.publish([draft("ana")])).toMatchObject([{ state: "failed", error: { code: "UNAVAILABLE" } }]);
    replica.resume();
    await broker.close();
  });
});
