import { expect, test, vi } from "vitest";
import { plain } from "../harness.ts";
import { type Node, nodes, ownStore } from "./servers.ts";

const store = ownStore();
/** Confirmations at once, and nodes that are silent soon given up. */
const QUICK = { pingIntervalMs: 10, cursorIntervalMs: 5, inheritedMs: 400 };
const two = (options: object = {}) => nodes(store(), 2, { ...QUICK, ...options }) as Promise<readonly [Node, Node]>;

const SOON = { timeout: 10_000 };

const confirms = (node: Node, user: string, offset: number): Promise<unknown> =>
  vi.waitFor(async () => {
    const connections = await node.users.connections(user);
    expect(connections.some(({ confirmed }) => confirmed === offset)).toBe(true);
  }, SOON);

/** The places that the cursor of a user's plain connections waits for, as the store has them. */
async function places({ prefix }: Node): Promise<{ floors: { at: number }[]; debts: { at: number }[] } | undefined> {
  const [key] = await store().client.keys(`${prefix}*:d`);
  const row = key === undefined ? null : await store().client.hget(key, "plain");
  return row === null ? undefined : JSON.parse(row).shared;
}

test("a node says where its plain connections are before it pushes to one that comes, and when the last is gone", async () => {
  const [one, other] = await two();
  const first = await plain(one.url, "ana");
  await one.users.to("ana").send("hi");
  await confirms(one, "ana", 1);
  await vi.waitFor(async () => expect((await places(one))?.floors).toMatchObject([{ at: 1 }]), SOON);
  const second = await plain(other.url, "ana");
  expect((await places(one))?.floors).toMatchObject([{ at: 1 }, { at: 1 }]);
  first.socket.disconnect();
  second.socket.disconnect();
  await vi.waitFor(async () => expect(await places(one)).toEqual({ floors: [], debts: [] }), SOON);
});

test("what a plain client was given whose node had died is told as delivered in time, also without another message", async () => {
  const [dead, other] = await two();
  await plain(dead.url, "ana");
  await other.users.to("ana").send("before");
  await confirms(dead, "ana", 1);
  await vi.waitFor(async () => expect((await places(dead))?.floors).toMatchObject([{ at: 1 }]), SOON);
  dead.gate.shut();
  const again = await plain(other.url, "ana");
  const receipt = await other.users.to("ana").send("after");
  await vi.waitFor(() => expect(again.received).toEqual(["after"]), SOON);
  expect(await receipt.delivered({ timeout: "10s" })).toMatchObject({ device: "plain" });
});
