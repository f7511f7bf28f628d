import { EVENTS } from "@usercast/protocol";
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from "vitest";
import { redis } from "../../src/broker/redis.ts";
import { start, wire } from "../harness.ts";
import { startCluster, type TestCluster } from "../redis/server.ts";
import { LEASE_MS } from "./servers.ts";

let cluster: TestCluster;

beforeAll(async () => {
  cluster = await startCluster();
}, 120_000);
afterAll(() => cluster.stop());

const open = async () => {
  const broker = await redis({ client: cluster.client, prefix: "together:", warn: () => {} });
  onTestFinished(() => broker.close());
  return start({ broker, leaseMs: LEASE_MS, presenceGraceMs: 0, maxConnectionsPerUser: 2 });
};

test("two nodes on a cluster behave like one", async () => {
  const [one, other] = [await open(), await open()];
  const events: string[] = [];
  for (const { users } of [one, other]) {
    users.on("online", (userId) => events.push(`online ${userId}`));
    users.on("offline", (userId) => events.push(`offline ${userId}`));
  }
  const names = Array.from({ length: 20 }, (_, i) => `user ${i}`);
  const wires = await Promise.all(names.map((name, i) => wire([one, other][i % 2]?.url ?? "", name)));
  expect((await one.users.presence(names)).every(({ online }) => online)).toBe(true);
  expect(await other.users.stats()).toMatchObject({ users: 20, connections: 20 });
  const pages = [await one.users.online({ limit: 1_000 })];
  for (let cursor = pages[0]?.cursor; cursor !== undefined; cursor = pages.at(-1)?.cursor) {
    pages.push(await one.users.online({ cursor, limit: 1_000 }));
  }
  expect(pages.flatMap(({ users }) => users.map(({ userId }) => userId)).sort()).toEqual([...names].sort());
  const receipts = await one.users.to(names).send("hi");
  expect(receipts.map(({ state }) => state)).toEqual(names.map(() => "pushed"));
  await vi.waitFor(() => expect(wires.map(({ messages }) => messages.length)).toEqual(names.map(() => 1)));
  wires[1]?.socket.on(EVENTS.question, (_s, _q, _e, data, answer: (answer: unknown) => void) => answer({ ok: true, data }));
  expect(await one.users.to("user 1").ask("echo", 42)).toBe(42);
  for (const session of ["s2", "s3"]) await wire(one.url, "user 1", { session });
  await vi.waitFor(() => expect(wires[1]?.closing).toMatchObject([{ code: "TOO_MANY_CONNECTIONS" }]));
  expect(await other.users.disconnect("user 1")).toBe(2);
  await vi.waitFor(() =>
    expect(events.filter((event) => event.endsWith(" user 1"))).toEqual(["online user 1", "offline user 1"]),
  );
});
