import { expect, test, vi } from "vitest";
import { client, next, wire } from "../harness.ts";
import { LEASE_MS, type Node, nodes, ownStore } from "./servers.ts";

const store = ownStore();
const two = (options?: Parameters<typeof nodes>[2]) => nodes(store(), 2, options) as Promise<readonly [Node, Node]>;

const SOON = { timeout: 10_000, interval: 20 };

/** A connection that is refused: what it is told. */
async function refused(url: string, userId: string, session: string): Promise<unknown> {
  const socket = client(url, { auth: { usercast: { v: 1, device: "phone", session } } });
  const closing = next(socket, "usercast:closing");
  socket.on("connect", () => socket.emit("register", userId));
  return (await closing)[1];
}

test("one connection too many closes the oldest, wherever it is", async () => {
  const [one, other] = await two({ maxConnectionsPerUser: 2 });
  const oldest = await wire(one.url, "ana", { session: "s1" });
  const second = await wire(other.url, "ana", { session: "s2" });
  const third = await wire(other.url, "ana", { session: "s3" });
  await vi.waitFor(() => expect(oldest.closing).toMatchObject([{ code: "TOO_MANY_CONNECTIONS", reconnect: false }]), SOON);
  await vi.waitFor(async () => expect((await one.users.presence("ana")).connections).toBe(2), SOON);
  expect([second.closing, third.closing]).toEqual([[], []]);
});

test("where the policy is to reject, the one that comes is told so, and the others stay", async () => {
  const [one, other] = await two({ maxConnectionsPerUser: 2, takeover: "reject" });
  const first = await wire(one.url, "ana", { session: "s1" });
  const second = await wire(other.url, "ana", { session: "s2" });
  expect(await refused(one.url, "ana", "s3")).toMatchObject({ code: "TOO_MANY_CONNECTIONS", reconnect: false });
  expect([first.closing, second.closing]).toEqual([[], []]);
  expect(await one.users.stats()).toMatchObject({ users: 1, connections: 2 });
  first.socket.disconnect();
  await vi.waitFor(async () => expect((await other.users.presence("ana")).connections).toBe(1), SOON);
  await wire(other.url, "ana", { session: "s3" });
});

test("a session that comes back replaces itself, so that nobody is locked out by his own ghost", async () => {
  const [one, other] = await two({ maxConnectionsPerUser: 2, takeover: "reject" });
  const neighbour = await wire(one.url, "ana", { session: "s0" });
  const ghost = await wire(one.url, "ana", { session: "s1" });
  await wire(other.url, "ana", { session: "s1" });
  await vi.waitFor(() => expect(ghost.closing).toMatchObject([{ code: "TOO_MANY_CONNECTIONS" }]), SOON);
  expect(neighbour.closing).toEqual([]);
});

test("connections of a dead node do not count", async () => {
  const [one, dead] = await two({ maxConnectionsPerUser: 1, takeover: "reject" });
  await wire(dead.url, "ana", { session: "s1" });
  await new Promise((resolve) => setTimeout(resolve, LEASE_MS));
  dead.gate.shut();
  expect(await refused(one.url, "ana", "s2")).toMatchObject({ code: "TOO_MANY_CONNECTIONS" });
  await vi.waitFor(async () => expect((await one.users.presence("ana")).online).toBe(false), SOON);
  await wire(one.url, "ana", { session: "s2" });
});

test("the limit holds for connections that come to all nodes at once", async () => {
  const all = await nodes(store(), 3, { maxConnectionsPerUser: 3, takeover: "reject" });
  const outcomes = await Promise.all(
    Array.from({ length: 12 }, async (_, i) => {
      const socket = client(all[i % 3]?.url ?? "", { auth: { usercast: { v: 1, device: "phone", session: `s${i}` } } });
      socket.on("connect", () => socket.emit("register", "ana"));
      return Promise.race([
        next(socket, "usercast:ready").then(() => "ready"),
        next(socket, "usercast:closing").then(() => "refused"),
      ]);
    }),
  );
  expect(outcomes.filter((outcome) => outcome === "ready")).toHaveLength(3);
  expect(await all[0]?.users.stats()).toMatchObject({ users: 1, connections: 3 });
});
