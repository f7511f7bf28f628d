import { expect, test } from "vitest";
import type { Connection } from "./connection.ts";
import { Hub, UserConnections } from "./hub.ts";
import { ManualClock } from "./testing/manual-clock.ts";

interface Plain {
  state: Connection["state"];
  confirmed: number;
  due: number;
}

const clock = new ManualClock();
const options = { clock, owedMs: 1_000, maxOwedUsers: 1, startedAt: 0, heldUntil: 0, onControl: () => {} };
const group = new UserConnections("ana", options);

/** A plain connection, as far as its group looks at it. */
function plain(at: Plain, epoch = "e"): Connection {
  const connection = { plain: true, epoch, ...at } as unknown as Connection;
  group.all.add(connection);
  return connection;
}

/** Where the connection has come to by now. */
const come = (connection: Connection, at: Partial<Plain>): unknown => Object.assign(connection, at);

test("the plain cursor waits for who is owed something, pushed or not, and for the next one when that breaks", () => {
  expect(group.beginPlain("e", 10)).toBe(10);
  const fast = plain({ state: "live", confirmed: 10, due: 20 });
  const slow = plain({ state: "catching-up", confirmed: 10, due: 20 });
  come(fast, { confirmed: 20 });
  expect(group.plainMove("e", {})?.delivered).toBe(10);

  group.remove(slow);
  expect(group.plainMove("e", {})?.delivered).toBe(10);
  expect(group.beginPlain("e", 10)).toBe(10);
  // It took the debt over, and breaks in its turn before anything was pushed to it.
  const successor = plain({ state: "catching-up", confirmed: 10, due: 20 });
  expect(group.plainMove("e", {})?.delivered).toBe(10);
  group.remove(successor);
  expect(group.plainMove("e", {})?.delivered).toBe(10);

  const last = plain({ state: "live", confirmed: group.beginPlain("e", 10), due: 20 });
  come(last, { confirmed: 20 });
  expect(group.plainMove("e", {})?.delivered).toBe(20);
});

test("a connection that asked the broker before the cursor moved begins where the cursor is", () => {
  expect(group.beginPlain("e", 10)).toBe(20);
});

test("debt and cursor of a life of the mailbox that is over count for nothing in the next", () => {
  const owed = plain({ state: "live", confirmed: 3, due: 20 });
  expect(group.beginPlain("new", 0)).toBe(0);
  const next = plain({ state: "live", confirmed: 2, due: 2 }, "new");
  group.remove(owed);
  expect([group.plainMove("e", {})?.delivered, group.plainMove("new", {})?.delivered]).toEqual([undefined, 2]);
  group.remove(next);
  expect(group.beginPlain("new", 2)).toBe(2);
});

test("what plain connections passed as missed is told with the cursor that passes it, and once", () => {
  const tabs = new UserConnections("ana", options);
  tabs.beginPlain("e", 0);
  const fast = { plain: true, epoch: "e", state: "live", confirmed: 5, due: 5 } as unknown as Connection;
  const slow = { plain: true, epoch: "e", state: "live", confirmed: 1, due: 5 } as unknown as Connection;
  tabs.all.add(fast).add(slow);
  const early = { first: 1, last: 1 };
  const late = { first: 3, last: 4 };
  expect(tabs.plainMove("e", { missed: [early, late] })).toEqual({ delivered: 1, missed: [early] });
  come(slow, { confirmed: 5 });
  expect(tabs.plainMove("e", { missed: [late] })).toEqual({ delivered: 5, missed: [late] });
  expect(tabs.plainMove("e", {})).toEqual({ delivered: 5 });
});

test("connections that broke together are owed each for itself, also when their user was gone meanwhile", () => {
  const hub = new Hub(options);
  const leave = (user: string, confirmed: readonly number[]): void => {
    const tabs = hub.open(user);
    tabs.beginPlain("e", 0);
    const broken = confirmed.map(
      (at) => ({ plain: true, epoch: "e", state: "live", confirmed: at, due: 9 }) as unknown as Connection,
    );
    for (const tab of broken) tabs.all.add(tab);
    for (const tab of broken) tabs.remove(tab);
    hub.close(user);
  };
  leave("ana", [5, 3]);
  expect(hub.get("ana")).toBeUndefined();
  const back = hub.open("ana");
  expect(back.beginPlain("e", 3)).toBe(3);
  // The first one back confirms everything. It may have been either, so the second still gets the most that was owed.
  expect(back.beginPlain("e", 9)).toBe(3);
  expect(back.beginPlain("e", 9)).toBe(9);

  // Only so many absent users are remembered, and the longest gone is forgotten.
  leave("bo", [2]);
  leave("cy", [4]);
  expect(hub.open("bo").beginPlain("e", 9)).toBe(9);
  expect(hub.open("cy").beginPlain("e", 9)).toBe(4);
});

test("what tabs that are closed for good were owed neither holds the cursor nor comes again for ever", () => {
  const tabs = new UserConnections("ana", options);
  tabs.beginPlain("e", 0);
  const broken = [1, 2, 3].map(
    (confirmed) => ({ plain: true, epoch: "e", state: "live", confirmed, due: 9 }) as unknown as Connection,
  );
  for (const tab of broken) tabs.all.add(tab);
  for (const tab of broken) tabs.remove(tab);
  // Nobody is there, so nothing passes what is owed, however long it takes.
  clock.advance(1_000_000);
  const live = { plain: true, epoch: "e", state: "live", confirmed: tabs.beginPlain("e", 1), due: 9 } as unknown as Connection;
  expect(live.confirmed).toBe(1);
  tabs.all.add(live);
  come(live, { confirmed: 9 });
  expect(tabs.plainMove("e", {})?.delivered).toBe(1);
  clock.advance(999);
  expect(tabs.beginPlain("e", 1)).toBe(1);
  clock.advance(1);
  expect(tabs.plainMove("e", {})?.delivered).toBe(9);
  expect(tabs.beginPlain("e", 9)).toBe(9);
});

test("after a start the cursor an earlier process left is held: nobody knows how many are to come back to it", () => {
  const startedAt = clock.now();
  const tabs = new Hub({ ...options, startedAt, heldUntil: startedAt + 1_000 }).open("ana");
  const back = { plain: true, epoch: "e", state: "live", confirmed: 0, due: 9 } as unknown as Connection;
  come(back, { confirmed: tabs.beginPlain("e", 3, startedAt - 1) });
  tabs.all.add(back);
  come(back, { confirmed: 9 });
  expect(tabs.plainMove("e", {})?.delivered).toBe(3);
  expect(tabs.beginPlain("e", 3, startedAt - 1)).toBe(3);
  clock.advance(1_000);
  expect(tabs.plainMove("e", {})?.delivered).toBe(9);
  expect(tabs.beginPlain("e", 3, startedAt - 1)).toBe(9);
});

test.each([
  ["that moved since the start", 1],
  ["that is new", undefined],
])("a cursor %s is not held", (_, movedAt) => {
  const startedAt = clock.now();
  const tabs = new Hub({ ...options, startedAt, heldUntil: startedAt + 1_000 }).open("ana");
  expect(tabs.beginPlain("e", 3, movedAt && startedAt + movedAt)).toBe(3);
  tabs.all.add({ plain: true, epoch: "e", state: "live", confirmed: 9, due: 9 } as unknown as Connection);
  expect(tabs.plainMove("e", {})?.delivered).toBe(9);
});
