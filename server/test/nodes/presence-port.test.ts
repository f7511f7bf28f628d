import { describe, expect, onTestFinished, test, vi } from "vitest";
import { Line } from "../../src/broker/redis/line.ts";
import { RedisPresence } from "../../src/broker/redis/presence.ts";
import { systemClock } from "../../src/clock.ts";
import { LocalPresence } from "../../src/local-presence.ts";
import type { Presence, PresenceSettings, PresentConnection } from "../../src/ports.ts";
import { ManualClock } from "../../src/testing/manual-clock.ts";
import { freshPrefix, LEASE_MS, ownStore } from "./servers.ts";

const store = ownStore();

/** A presence of its own, and what it tells. */
function opened(
  open: (settings: PresenceSettings) => Presence,
  settings: Partial<PresenceSettings> = {},
): { readonly presence: Presence; readonly events: string[] } {
  const events: string[] = [];
  const presence = open({
    clock: systemClock,
    leaseMs: LEASE_MS,
    graceMs: 0,
    maxLastSeen: 100,
    maxConnections: 64,
    takeover: "oldest",
    onEvent: (event, userId) => events.push(`${event} ${userId}`),
    onError: () => {},
    ...settings,
  });
  onTestFinished(() => presence.close());
  return { presence, events };
}

let line: Line | undefined;

function inRedis(isCluster: boolean): (settings: PresenceSettings) => Presence {
  return (settings) => {
    line ??= new Line({ client: store().client, timeoutMs: 3_000, warn: () => {} });
    return new RedisPresence({ line, prefix: freshPrefix(), isCluster }, settings);
  };
}

let sockets = 0;

const connection = (userId: string, fields: Partial<PresentConnection> = {}): PresentConnection => {
  sockets += 1;
  return { userId, socketId: `socket-${sockets}`, device: "phone", connectedAt: 1, ...fields };
};

describe.each([
  ["of a process that is alone", (settings: PresenceSettings) => new LocalPresence(settings)],
  ["in Redis", inRedis(false)],
  ["in Redis, in the parts it has on a cluster", inRedis(true)],
])("presence %s", (_, open) => {
  test("knows who is connected, oldest first, and when who is not was last seen", async () => {
    const { presence, events } = opened(open);
    const [first, second] = [connection("ana", { session: "s1" }), connection("ana", { device: "laptop", connectedAt: 2 })];
    expect(await presence.attach(first)).toEqual({ accepted: true, evicted: [] });
    await presence.attach(second);
    // The same once more changes nothing.
    await presence.attach(first);
    const { node } = presence;
    expect(await presence.find(["bo", "ana"])).toEqual([
      { userId: "bo", connections: [] },
      {
        userId: "ana",
        connections: [
          { ...first, node },
          { ...second, node },
        ],
      },
    ]);
    expect(await presence.online(["bo", "ana"])).toEqual(new Set(["ana"]));
    expect(await presence.count()).toEqual({ users: 1, connections: 2 });
    await presence.detach("ana", first.socketId);
    await presence.detach("ana", "nobody's");
    expect(await presence.count()).toEqual({ users: 1, connections: 1 });
    await presence.detach("ana", second.socketId);
    await presence.detach("ana", second.socketId);
    const [ana] = await presence.find(["ana"]);
    expect([ana?.connections, Math.abs((ana?.lastSeen ?? 0) - Date.now()) < 5_000]).toEqual([[], true]);
    expect(await presence.count()).toEqual({ users: 0, connections: 0 });
    await vi.waitFor(() => expect(events).toEqual(["online ana", "offline ana"]), { timeout: 5_000 });
  });

  test("lists everybody in pages, and refuses a cursor that no page gave", async () => {
    const { presence } = opened(open);
    const names = Array.from({ length: 25 }, (_, i) => `u ${i} ü`);
    for (const name of names) await presence.attach(connection(name));
    const listed: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await presence.list(cursor, 4);
      listed.push(...page.users.map(({ userId }) => userId));
      expect(page.users.every(({ connections }) => connections.length === 1)).toBe(true);
      cursor = page.cursor;
    } while (cursor !== undefined);
    expect(listed.sort()).toEqual([...names].sort());
    for (const bad of ["", "x", "99 u", "-1"]) {
      await expect(presence.list(bad, 4)).rejects.toMatchObject({ code: "INVALID_REQUEST" });
    }
  });

  test("has the oldest make room, and a session that returns before anybody else", async () => {
    const { presence } = opened(open, { maxConnections: 2 });
    const [oldest, ghost] = [connection("ana", { session: "s0" }), connection("ana", { session: "s1" })];
    await presence.attach(oldest);
    await presence.attach(ghost);
    expect(await presence.attach(connection("ana", { session: "s1" }))).toEqual({ accepted: true, evicted: [ghost.socketId] });
    expect(await presence.attach(connection("ana", { session: "s2" }))).toEqual({ accepted: true, evicted: [oldest.socketId] });
    // Clients without the SDK have no session by which they would be known again.
    await presence.attach(connection("bo"));
    await presence.attach(connection("bo"));
    expect((await presence.attach(connection("bo"))).evicted).toHaveLength(1);
    expect(await presence.count()).toEqual({ users: 2, connections: 4 });
  });

  test("refuses the one that comes, where that is the policy, but for a session that returns", async () => {
    const { presence, events } = opened(open, { maxConnections: 1, takeover: "reject" });
    const there = connection("ana", { session: "s1" });
    await presence.attach(there);
    const refused = connection("ana", { session: "s1", device: "laptop" });
    expect(await presence.attach(refused)).toEqual({ accepted: false, evicted: [] });
    await presence.detach("ana", refused.socketId);
    expect(await presence.attach(connection("ana", { session: "s1" }))).toEqual({ accepted: true, evicted: [there.socketId] });
    expect(await presence.count()).toEqual({ users: 1, connections: 1 });
    expect(events).toEqual(["online ana"]);
  });

  test("remembers as many last seen as allowed", async () => {
    const { presence } = opened(open, { maxLastSeen: 32 });
    const names = Array.from({ length: 64 }, (_, i) => `user ${i}`);
    for (const name of names) {
      const one = connection(name);
      await presence.attach(one);
      await presence.detach(name, one.socketId);
    }
    // Who left within the grace period is not absent yet.
    await vi.waitFor(async () => {
      const remembered = (await presence.find(names)).filter(({ lastSeen }) => lastSeen !== undefined).length;
      expect([remembered > 16, remembered <= 32]).toEqual([true, true]);
    });
  });
});

test("a node that could not renew takes nobody's silence for a death", async () => {
  // Its time stands still, so that it renews nothing after it has come.
  const { presence, events } = opened(inRedis(false), { clock: new ManualClock(), leaseMs: 100 });
  const one = connection("ana");
  await presence.attach(one);
  await new Promise((resolve) => setTimeout(resolve, 300));
  const [ana] = await presence.find(["ana"]);
  expect(ana?.connections).toHaveLength(1);
  expect(await presence.count()).toEqual({ users: 1, connections: 1 });
  await presence.attach({ ...connection("ana"), device: "laptop" });
  expect((await presence.find(["ana"]))[0]?.connections.map(({ device }) => device)).toEqual(["phone", "laptop"]);
  expect(events).toEqual(["online ana"]);
});
