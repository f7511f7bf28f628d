import { expect, test } from "vitest";
import type { Connection } from "./connection.ts";
import { Hub } from "./hub.ts";

const hub = new Hub({ holder: "here", inheritedMs: 1_000, owedMs: 2_000, onControl: () => {} });

/** Where the log ended when a connection found its start. */
const HEAD = { epoch: "e", offset: 30, at: 3_000 };

/** A user of their own, so that tests do not share one. */
let users = 0;
const group = () => hub.open(`user ${users++}`);

/** A plain connection, as far as its group looks at it. */
const plain = (confirmed: number, epoch = "e"): Connection => ({ plain: true, epoch, confirmed }) as unknown as Connection;

/** How far the connection has confirmed by now. */
const come = (connection: Connection, confirmed: number): unknown => Object.assign(connection, { confirmed });

test("the plain cursor goes no further than the last of the plain connections, and the store is told where that is", () => {
  const tabs = group();
  const [fast, slow] = [plain(10), plain(10)];
  tabs.add(fast);
  expect(tabs.enter(fast, 0, HEAD)).toMatchObject({ delivered: 10, shared: { holder: "here", floor: 10 } });
  tabs.add(slow);
  tabs.enter(slow, 0, HEAD);
  come(fast, 20);
  expect(tabs.plainMove("e", {})).toMatchObject({ delivered: 10, shared: { floor: 10 } });
  come(slow, 15);
  expect(tabs.plainMove("e", {})).toMatchObject({ delivered: 15, shared: { floor: 15, heldMs: 1_000, owedMs: 2_000 } });
});

test("who came and went is told once, in order, and with numbers that rise from user to user", () => {
  const tabs = group();
  const [first, second] = [plain(10), plain(12)];
  tabs.add(first);
  tabs.add(second);
  const [began] = tabs.enter(first, 0, HEAD)?.shared?.turns ?? [];
  expect(began).toMatchObject({ type: "began", at: 10 });
  tabs.enter(second, 0, HEAD);
  come(second, 15);
  tabs.remove(first);
  tabs.remove(second);
  const last = tabs.plainMove("e", {});
  expect(last?.shared?.turns).toMatchObject([
    { type: "ended", at: 10 },
    { type: "ended", at: 15 },
  ]);
  expect(last?.shared).not.toHaveProperty("floor");
  expect(tabs.plainMove("e", {})?.shared).not.toHaveProperty("turns");

  const others = group();
  const other = plain(1);
  others.add(other);
  expect(others.enter(other, 0, HEAD)?.shared?.turns?.[0]?.number).toBeGreaterThan(last?.shared?.number ?? 0);
});

test("nothing is said of a device that the store does not know", () => {
  const tabs = group();
  const first = plain(0);
  tabs.add(first);
  expect(tabs.enter(first, undefined, HEAD)).toBeUndefined();
  expect(tabs.plainMove("e", {})).toMatchObject({ delivered: 0, shared: { floor: 0 } });
});

test("a life of the mailbox that is over counts for nothing in the next", () => {
  const tabs = group();
  const old = plain(3);
  tabs.add(old);
  tabs.enter(old, 0, HEAD);
  const next = plain(2, "new");
  tabs.add(next);
  tabs.enter(next, 0, HEAD);
  tabs.remove(old);
  expect(tabs.plainMove("e", {})).toBeUndefined();
  expect(tabs.plainMove("new", {})).toMatchObject({ delivered: 2, shared: { floor: 2 } });
  expect(tabs.plainMove("new", {})?.shared).not.toHaveProperty("turns");
});

test("what plain connections passed as missed is named until the cursor that they share has passed it", () => {
  const tabs = group();
  const [fast, slow] = [plain(5), plain(1)];
  tabs.add(fast);
  tabs.add(slow);
  tabs.enter(fast, 0, HEAD);
  const early = { first: 1, last: 1 };
  const late = { first: 3, last: 4 };
  expect(tabs.plainMove("e", { missed: [early, late] })).toMatchObject({ delivered: 1, missed: [early] });
  come(slow, 5);
  // A connection at another node may hold the cursor back still.
  expect(tabs.plainMove("e", {})).toMatchObject({ delivered: 5, missed: [early, late] });
  const cursor = { device: "plain", at: 0, missed: [], userRead: 0, unshown: false };
  const [from, to] = [
    { delivered: 1, read: 0 },
    { delivered: 2, read: 0 },
  ];
  tabs.cursors({ ...cursor, epoch: "e", from, to });
  expect(tabs.plainMove("e", {})).toMatchObject({ delivered: 5, missed: [late] });
  tabs.cursors({ ...cursor, epoch: "e", from: to, to: { delivered: 5, read: 0 } });
  expect(tabs.plainMove("e", {})).not.toHaveProperty("missed");
});

test("there is more to say while the cursor that plain connections share is behind all of those here, and no longer", () => {
  const tabs = group();
  const only = plain(10);
  tabs.add(only);
  tabs.enter(only, 10, HEAD);
  expect(tabs.again()).toBeUndefined();
  come(only, 20);
  expect(tabs.again()).toMatchObject({ epoch: "e", move: { delivered: 20, shared: { floor: 20 } } });
  const [from, to] = [
    { delivered: 10, read: 0 },
    { delivered: 20, read: 0 },
  ];
  tabs.cursors({ device: "plain", at: 0, missed: [], userRead: 0, unshown: false, epoch: "e", from, to });
  expect(tabs.again()).toBeUndefined();
  come(only, 30);
  tabs.remove(only);
  expect(tabs.again()).toBeUndefined();
});

test("whatever is said bears the newest place of the log, so that it says nothing of a log that comes in its place", () => {
  const tabs = group();
  const tab = plain(10);
  tabs.add(tab);
  expect(tabs.enter(tab, 0, HEAD)?.witness).toEqual({ offset: 30, at: 3_000 });
  come(tab, 12);
  expect(tabs.plainMove("e", { witness: { offset: 12, at: 1_200 } })?.witness).toEqual({ offset: 30, at: 3_000 });
  come(tab, 40);
  expect(tabs.plainMove("e", { witness: { offset: 40, at: 4_000 } })?.witness).toEqual({ offset: 40, at: 4_000 });
  tabs.remove(tab);
  expect(tabs.plainMove("e", {})?.witness).toEqual({ offset: 40, at: 4_000 });
  const later = plain(0, "another life");
  tabs.add(later);
  expect(tabs.enter(later, 0, { epoch: "another life", offset: 0, at: 0 })?.witness).toBeUndefined();
});
