import { describe, expect, test } from "vitest";
import { lowest, type SharedMove, type SharedPlaces, type SharedTurn } from "../sharing.ts";
import { after, differ } from "./shared.ts";

let numbers = 0;
const number = (): number => ++numbers;

const began = (at: number): SharedTurn => ({ type: "began", number: number(), at });
const ended = (at: number): SharedTurn => ({ type: "ended", number: number(), at });

/** Says something at a time: where everybody is at a holder, and who came and went. */
function say(
  places: SharedPlaces | undefined,
  holder: string,
  { floor, turns = [], now = 0, head = 100 }: { floor?: number; turns?: readonly SharedTurn[]; now?: number; head?: number },
): SharedPlaces {
  const move: SharedMove = {
    ...{ holder, number: number(), turns, heldMs: 1_000, owedMs: 10_000 },
    ...(floor !== undefined && { floor }),
  };
  return after(places, move, { head, now, target: floor ?? 0 });
}

const debts = (places: SharedPlaces): readonly number[] => places.debts.map(({ at }) => at);

describe("floors", () => {
  test("each holder's holds until it says another, or that nobody is there", () => {
    let places = say(say(undefined, "one", { floor: 10 }), "two", { floor: 12 });
    expect(lowest(places)).toBe(10);
    places = say(places, "one", { floor: 30 });
    expect(lowest(places)).toBe(12);
    places = say(places, "two", {});
    expect(lowest(places)).toBe(30);
    expect(lowest(say(places, "one", {}))).toBe(Number.POSITIVE_INFINITY);
  });

  test("one that is in the way of who is further is given up in time, counted from then on", () => {
    let places = say(say(undefined, "dead", { floor: 10 }), "one", { floor: 10, now: 5_000 });
    places = say(places, "one", { floor: 20, now: 50_000 });
    places = say(places, "one", { floor: 21, now: 50_999 });
    expect(lowest(places)).toBe(10);
    expect(lowest(say(places, "one", { floor: 22, now: 51_000 }))).toBe(22);
  });

  test("one that says something again is alive", () => {
    let places = say(say(undefined, "slow", { floor: 10 }), "one", { floor: 20 });
    places = say(places, "slow", { floor: 10, now: 900 });
    expect(lowest(say(places, "one", { floor: 21, now: 1_100 }))).toBe(10);
  });

  test("what comes late, or twice, changes nothing", () => {
    const late: SharedMove = { holder: "one", number: number(), floor: 1, turns: [ended(1)], heldMs: 1, owedMs: 1 };
    const places = say(undefined, "one", { floor: 10 });
    expect(differ(places, after(places, late, { head: 100, now: 0, target: 0 }))).toBe(false);
  });

  test("are bounded: who was heard of longest ago is forgotten", () => {
    let places: SharedPlaces | undefined;
    for (let i = 0; i < 70; i += 1) places = say(places, `node ${i}`, { floor: i });
    expect(places?.floors.length).toBe(64);
    expect(lowest(places as SharedPlaces)).toBe(6);
  });
});

describe("debts", () => {
  test("who confirmed everything is owed nothing", () => {
    expect(debts(say(undefined, "one", { turns: [ended(100)] }))).toEqual([]);
    expect(debts(say(undefined, "one", { turns: [ended(99)] }))).toEqual([99]);
  });

  test("connections that broke together are owed each for itself; who begins crosses off the least, at any node", () => {
    let places = say(undefined, "one", { turns: [ended(15), ended(10), ended(12)] });
    expect(debts(places)).toEqual([10, 12, 15]);
    places = say(places, "two", { floor: 10, turns: [began(10)] });
    expect(debts(places)).toEqual([10, 12]);
    places = say(places, "one", { floor: 10, turns: [began(10), ended(11), began(10)] });
    expect(debts(places)).toEqual([10]);
  });

  test("who began after a debt cannot have taken it over", () => {
    const places = say(undefined, "one", { turns: [ended(10)] });
    expect(debts(say(places, "two", { floor: 20, turns: [began(20)] }))).toEqual([10]);
  });

  test("stay while nobody is there, and for a time once somebody is", () => {
    let places = say(undefined, "one", { turns: [ended(10), ended(12)] });
    places = say(places, "two", { floor: 10, turns: [began(10)], now: 1_000_000 });
    expect(lowest(say(places, "two", { floor: 30, now: 1_009_999 }))).toBe(10);
    expect(debts(say(places, "two", { floor: 30, now: 1_010_000 }))).toEqual([]);
    // With the last one gone, the time of those it left behind stands still.
    places = say(places, "two", { now: 1_009_000 });
    expect(debts(say(places, "two", { floor: 30, now: 2_000_000 }))).toEqual([10]);
  });

  test("that are told once more are not kept twice", () => {
    const turns = [ended(10)];
    const places = say(undefined, "one", { floor: 20, turns });
    expect(debts(say(places, "one", { floor: 20, turns }))).toEqual([10]);
  });

  test("are bounded: what is owed least is forgotten", () => {
    const turns = Array.from({ length: 70 }, (_, i) => ended(i));
    const places = say(undefined, "one", { turns });
    expect([places.debts.length, debts(places).at(0), debts(places).at(-1)]).toEqual([64, 0, 63]);
  });
});

test("a number that has risen is no reason to write", () => {
  const places = say(undefined, "one", { floor: 10 });
  expect(differ(places, say(places, "one", { floor: 10 }))).toBe(false);
  expect(differ(places, say(places, "one", { floor: 11 }))).toBe(true);
});
