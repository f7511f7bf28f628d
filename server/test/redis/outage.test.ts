import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { redis } from "../../src/broker/redis.ts";
import type { Broker, PublishResult } from "../../src/ports.ts";
import { draft, recorder } from "./messages.ts";
import { startProxy } from "./proxy.ts";
import { startServer, type TestServer, waitFor } from "./server.ts";

let server: TestServer;
let broker: Broker;
const warnings: string[] = [];
const rejections: unknown[] = [];
const onRejection = (reason: unknown): void => void rejections.push(reason);

beforeEach(async () => {
  warnings.length = rejections.length = 0;
  process.on("unhandledRejection", onRejection);
  server = await startServer();
  broker = await redis({ url: server.url, commandTimeoutMs: 1_000, warn: (warning) => warnings.push(warning) });
});

afterEach(async () => {
  server.resume();
  await broker.close();
  await server.stop();
  process.off("unhandledRejection", onRejection);
  expect(rejections).toEqual([]);
});

const codeOf = (result: PublishResult | undefined): string =>
  result?.state === "failed" ? result.error.code : (result?.state ?? "nothing");

const publishOne = async (userId: string): Promise<string> => codeOf((await broker.publish([draft(userId)]))[0]);

/** Every entry of a mailbox. */
async function readAll(userId: string): Promise<readonly string[]> {
  const texts: string[] = [];
  for (let after = 0; ; ) {
    const page = await broker.read(userId, after, 1_000);
    texts.push(...page.entries.map(({ text }) => text));
    if (page.through >= page.head.offset) return texts;
    after = page.through;
  }
}

describe("whoever wants to know whether Redis can be reached", () => {
  it.each([
    { how: "is killed", away: () => server.kill(), back: () => server.restart() },
    { how: "hangs", away: async () => server.pause(), back: async () => server.resume() },
  ])("is told once when it $how, and once when it is back", async ({ away, back }) => {
    const told: boolean[] = [];
    const end = broker.onAvailability?.((isAvailable) => told.push(isAvailable));
    await away();
    // Somebody asks, as leases and heartbeats do all the time.
    await waitFor(async () => {
      await publishOne("ana");
      return told.length > 0;
    }, "it is told");
    await back();
    await waitFor(() => told.length > 1, "it is told that it is back");
    expect(told).toEqual([false, true]);
    expect(await publishOne("ana")).toBe("accepted");
    end?.();
    await away();
    await waitFor(async () => (await publishOne("ana")) === "UNAVAILABLE", "Redis is away again");
    expect(told).toEqual([false, true]);
    await back();
  });

  it("is not told of a connection that is made again at once", async () => {
    const told: boolean[] = [];
    broker.onAvailability?.((isAvailable) => told.push(isAvailable));
    for (let kills = 0; kills < 3; kills += 1) {
      await server.client.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
      await waitFor(async () => (await publishOne("ana")) === "accepted", "it is back");
    }
    expect(told).toEqual([]);
  });
});

describe("connections that are killed while thousands of messages are on their way", () => {
  it("append nothing twice, lose nothing that was accepted, and keep the order of each user", async () => {
    let isOver = false;
    let kills = 0;
    const killing = (async () => {
      while (!isOver) {
        await server.client.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
        kills += 1;
        await new Promise((resolve) => setTimeout(resolve, 15));
      }
    })();
    const users = ["ana", "bo", "cy"];
    const results: { readonly user: string; readonly text: string; readonly code: string }[] = [];
    const sends: Promise<void>[] = [];
    for (let n = 0; n < 6_000; n++) {
      const user = users[n % 3] ?? "";
      const text = `"m",${n}`;
      const send = broker
        .publish([draft(user, { text })])
        .then(([result]) => void results.push({ user, text, code: codeOf(result) }));
      sends.push(send);
      if (n % 20 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    }
    await Promise.all(sends);
    isOver = true;
    await killing;
    expect(kills).toBeGreaterThan(5);
    for (const user of users) {
      const entries = await readAll(user);
      expect(new Set(entries).size).toBe(entries.length);
      const numbers = entries.map((text) => Number(text.slice(4)));
      expect(numbers).toEqual(numbers.toSorted((a, b) => a - b));
      const kept = new Set(entries);
      const own = results.filter((result) => result.user === user);
      expect(own.filter(({ code, text }) => code === "accepted" && !kept.has(text))).toEqual([]);
      // Everything had its chance: cut connections are back within the time of a call.
      expect(own.filter(({ code }) => code !== "accepted").length).toBeLessThan(own.length / 10);
    }
  });
});

describe("an answer that is lost", () => {
  it("is asked for again, and the message appended once", async () => {
    const proxy = await startProxy(server.port);
    const own = await redis({ url: proxy.url, warn: () => {} });
    for (const n of [1, 2, 3]) {
      const lost = proxy.loseAnswerTo(`"m",${n}`);
      const both = await own.publish([draft("ana", { text: `"m",${n}` }), draft("bo", { text: `"m",${n}` })]);
      await lost;
      expect(both).toMatchObject([
        { state: "accepted", offset: n },
        { state: "accepted", offset: n },
      ]);
    }
    expect((await own.read("ana", 0, 10)).entries.length).toBe(3);
    await own.close();
    await proxy.stop();
  });
});

describe("a server that is away", () => {
  it("lets calls fail at once, warns once, and everybody reads again when it is back", async () => {
    await broker.close();
    // So long that a call which waits for it fails the test.
    broker = await redis({ url: server.url, commandTimeoutMs: 600_000, warn: (warning) => warnings.push(warning) });
    const ana = recorder();
    await broker.subscribe("ana", ana.listener);
    expect(await publishOne("ana")).toBe("accepted");
    await server.kill();
    expect(await publishOne("ana")).toBe("UNAVAILABLE");
    // From now on it is known to be away: a thousand publishes end without a timer of theirs.
    const turns = Array.from({ length: 1_000 }, () => publishOne("ana"));
    expect(new Set(await Promise.all(turns))).toEqual(new Set(["UNAVAILABLE"]));
    await expect(broker.read("ana", 0, 1)).rejects.toMatchObject({ code: "UNAVAILABLE" });
    await expect(broker.subscribe("bo", recorder().listener)).rejects.toMatchObject({ code: "UNAVAILABLE" });
    expect(warnings.length).toBe(1);
    expect(ana.interruptions).toBe(0);
    await server.restart();
    await waitFor(() => ana.interruptions > 0, "ana is interrupted");
    await waitFor(async () => (await publishOne("ana")) === "accepted", "publishes are accepted again");
    await waitFor(() => ana.entries.at(-1)?.offset === 2, "ana hears");
    expect(warnings.length).toBe(1);
  });

  it("that only hangs is treated alike, and what comes after waits no full time", async () => {
    const ana = recorder();
    await broker.subscribe("ana", ana.listener);
    server.pause();
    const read = expect(broker.read("ana", 0, 1)).rejects.toMatchObject({ code: "UNAVAILABLE" });
    expect(await publishOne("ana")).toBe("UNAVAILABLE");
    await read;
    await waitFor(() => warnings.length > 0, "the outage is told");
    await publishOne("ana");
    const turns = Array.from({ length: 1_000 }, () => publishOne("ana"));
    expect(new Set(await Promise.all(turns))).toEqual(new Set(["UNAVAILABLE"]));
    server.resume();
    await waitFor(async () => (await publishOne("ana")) === "accepted", "publishes are accepted again");
    expect(warnings.length).toBe(1);
    const texts = await readAll("ana");
    // Her own connection may have hung for too short a time to be given up: then it lost nothing.
    const hears = () => ana.interruptions > 0 || ana.entries.at(-1)?.offset === texts.length;
    await waitFor(hears, "ana hears, or is told to read");
    // The first may have been accepted when it arrived, once.
    expect(texts.length).toBeLessThanOrEqual(3);
  });

  it("holds no more than may wait, and says so of the rest", async () => {
    const small = await redis({ url: server.url, commandTimeoutMs: 1_000, maxPendingWrites: 10, warn: () => {} });
    server.pause();
    const results = await small.publish(Array.from({ length: 25 }, () => draft("ana")));
    expect(results.filter((result) => codeOf(result) === "OVERLOADED").length).toBe(15);
    expect(results.filter((result) => codeOf(result) === "UNAVAILABLE").length).toBe(10);
    server.resume();
    await small.close();
  });

  it("that knows our scripts no more is told them again", async () => {
    expect(await publishOne("ana")).toBe("accepted");
    await server.client.script("FLUSH");
    expect(await publishOne("ana")).toBe("accepted");
    await server.client.script("FLUSH");
    expect((await broker.position("ana")).head.offset).toBe(2);
  });
});
