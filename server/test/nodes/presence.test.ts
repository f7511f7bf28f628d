import { EVENTS } from "@usercast/protocol";
import { expect, test, vi } from "vitest";
import { wire } from "../harness.ts";
import { LEASE_MS, type Node, nodes, ownStore } from "./servers.ts";

const store = ownStore();
const two = (options?: Parameters<typeof nodes>[2]) => nodes(store(), 2, options) as Promise<readonly [Node, Node]>;

/** What each node was told of users, in the order of telling. */
function eventsOf(all: readonly Node[]): string[] {
  const events: string[] = [];
  for (const { users } of all) {
    users.on("online", (userId) => events.push(`online ${userId}`));
    users.on("offline", (userId) => events.push(`offline ${userId}`));
  }
  return events;
}

const SOON = { timeout: 10_000, interval: 20 };

test("whoever asks, a user is where they are, and many are asked about at once", async () => {
  const [one, other] = await two();
  await wire(one.url, "ana");
  await wire(other.url, "ana", { device: "laptop" });
  await wire(other.url, "bo {x} ü");
  for (const { users } of [one, other]) {
    expect(await users.presence("ana")).toEqual({ userId: "ana", online: true, connections: 2, devices: ["phone", "laptop"] });
    const all = await users.presence(["nobody", "bo {x} ü", "ana"]);
    expect(all.map(({ userId, online, connections }) => [userId, online, connections])).toEqual([
      ["nobody", false, 0],
      ["bo {x} ü", true, 1],
      ["ana", true, 2],
    ]);
    expect(await users.presence([])).toEqual([]);
    expect(await users.stats()).toMatchObject({ users: 2, connections: 3 });
  }
});

test("who is online is listed in pages, each once", async () => {
  const [one, other] = await two();
  const names = Array.from({ length: 7 }, (_, i) => `user ${i}`);
  for (const [i, name] of names.entries()) await wire([one, other][i % 2]?.url ?? "", name);
  const listed: string[] = [];
  let pages = 0;
  for (let cursor: string | undefined; ; pages += 1) {
    const page = await one.users.online({ limit: 3, ...(cursor !== undefined && { cursor }) });
    listed.push(...page.users.map(({ userId }) => userId));
    cursor = page.cursor;
    if (cursor === undefined) break;
  }
  expect([listed.sort(), pages]).toEqual([names, 2]);
  await expect(one.users.online({ cursor: "no such page" })).rejects.toMatchObject({ code: "INVALID_REQUEST" });
  await expect(one.users.online({ limit: 0 })).rejects.toMatchObject({ code: "INVALID_REQUEST" });
});

test("coming and going is told once, by one node, and a move between nodes is neither", async () => {
  const all = await two({ presenceGraceMs: 400 });
  const [one, other] = all;
  const events = eventsOf(all);
  const first = await wire(one.url, "ana");
  await vi.waitFor(() => expect(events).toEqual(["online ana"]), SOON);
  const second = await wire(other.url, "ana");
  first.socket.disconnect();
  await vi.waitFor(async () => expect((await one.users.presence("ana")).connections).toBe(1), SOON);
  second.socket.disconnect();
  await vi.waitFor(async () => expect((await one.users.presence("ana")).online).toBe(false), SOON);
  const leftAt = (await one.users.presence("ana")).lastSeen ?? 0;
  const third = await wire(one.url, "ana");
  expect(events).toEqual(["online ana"]);
  third.socket.disconnect();
  await vi.waitFor(() => expect(events).toEqual(["online ana", "offline ana"]), SOON);
  const { online, lastSeen = 0 } = await other.users.presence("ana");
  expect([online, lastSeen >= leftAt && Math.abs(lastSeen - Date.now()) < 5_000]).toEqual([false, true]);
});

test("users of a dead node go offline once, and those who are elsewhere too stay", async () => {
  const all = await nodes(store(), 3);
  const [one, other, dead] = all as readonly [Node, Node, Node];
  const events = eventsOf([one, other]);
  await wire(dead.url, "ana");
  await wire(dead.url, "bo");
  await wire(other.url, "bo", { device: "laptop" });
  expect((await one.users.presence(["ana", "bo"])).map(({ connections }) => connections)).toEqual([1, 2]);
  // Until everybody has been there for a lease, nobody is taken for dead.
  await vi.waitFor(async () => expect((await one.users.stats()).connections).toBe(3), SOON);
  dead.gate.shut();
  await vi.waitFor(() => expect(events).toEqual(["offline ana"]), SOON);
  const [ana, bo] = await one.users.presence(["ana", "bo"]);
  expect([ana?.online, typeof ana?.lastSeen, bo?.connections]).toEqual([false, "number", 1]);
  await vi.waitFor(async () => expect(await one.users.stats()).toMatchObject({ users: 1, connections: 1 }), SOON);
  const { users } = await one.users.online();
  expect(users.map(({ userId }) => userId)).toEqual(["bo"]);
  // What the dead node left is gone from the store as well, last seen aside.
  const keys = await store().client.keys("*");
  expect(keys.filter((key) => key.includes(":n:") && keys.length > 0)).toHaveLength(1);
  await new Promise((resolve) => setTimeout(resolve, LEASE_MS));
  expect(events).toEqual(["offline ana"]);
});

test("an outage of the store is nobody's departure", async () => {
  const all = await two();
  const [one, other] = all;
  await wire(one.url, "ana");
  await wire(other.url, "bo");
  await vi.waitFor(async () => expect((await one.users.stats()).connections).toBe(2), SOON);
  await new Promise((resolve) => setTimeout(resolve, LEASE_MS * 1.5));
  const events = eventsOf(all);
  // Nobody can renew for longer than a lease.
  await store().client.call("CLIENT", "PAUSE", String(LEASE_MS * 2), "ALL");
  for (let looks = 0; looks < 20; looks += 1) {
    expect((await one.users.presence(["ana", "bo"])).map(({ online }) => online)).toEqual([true, true]);
    await new Promise((resolve) => setTimeout(resolve, LEASE_MS / 10));
  }
  expect(events).toEqual([]);
});

test("a node that others took for dead registers what it has again", async () => {
  const [one, other] = await two();
  await wire(one.url, "ana");
  await wire(other.url, "bo");
  await store().client.flushall();
  await vi.waitFor(async () => {
    expect((await other.users.presence(["ana", "bo"])).map(({ connections }) => connections)).toEqual([1, 1]);
    expect(await other.users.stats()).toMatchObject({ users: 2, connections: 2 });
  }, SOON);
});

test("a connection whose node could not say that it went is forgotten by the next sweep", async () => {
  const [one, other] = await two();
  const ana = await wire(one.url, "ana");
  await wire(one.url, "bo");
  // The node's every write fails for a moment.
  await store().client.call("CONFIG", "SET", "maxmemory", "1");
  ana.socket.disconnect();
  await new Promise((resolve) => setTimeout(resolve, 100));
  await store().client.call("CONFIG", "SET", "maxmemory", "0");
  await vi.waitFor(async () => {
    expect((await other.users.presence(["ana", "bo"])).map(({ connections }) => connections)).toEqual([0, 1]);
    expect(await other.users.stats()).toMatchObject({ users: 1, connections: 1 });
  }, SOON);
});

test("a question to a node that dies is waited for until its death is known, and no longer", async () => {
  const [one, dead] = await two();
  const asked: unknown[] = [];
  const ana = await wire(dead.url, "ana");
  ana.socket.on(EVENTS.question, (_secret, question) => asked.push(question));
  await new Promise((resolve) => setTimeout(resolve, LEASE_MS));
  const asking = one.users.to("ana").timeout("1h").ask("confirm");
  await vi.waitFor(() => expect(asked).toHaveLength(1), SOON);
  dead.gate.shut();
  await expect(asking).rejects.toMatchObject({ code: "NO_ANSWER" });
});
