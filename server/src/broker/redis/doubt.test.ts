import { expect, test } from "vitest";
import { Doubt } from "./doubt.ts";

/** Renews at these times, by our clock and by the store's, and says when there is doubt. */
function doubts(renewals: readonly (readonly [now: number, storeNow: number])[], asked: readonly number[]): readonly boolean[] {
  const doubt = new Doubt(300);
  return asked.map((at) => {
    for (const [now, storeNow] of renewals.filter(([now]) => now <= at)) doubt.renewed(now, storeNow);
    return doubt.isIn(at);
  });
}

const steady = (from: number, to: number, ahead = 0): (readonly [number, number])[] =>
  Array.from({ length: (to - from) / 100 + 1 }, (_, i) => [from + i * 100, from + i * 100 + ahead]);

test("who has just come takes nobody for dead for a lease, and then believes what it sees", () => {
  expect(doubts([], [0])).toEqual([true]);
  expect(doubts(steady(1_000, 1_200), [1_200])).toEqual([true]);
  expect(doubts(steady(1_000, 1_300), [1_300])).toEqual([false]);
});

test("who could not renew in time takes nobody for dead, then and for a lease afterwards", () => {
  const before = steady(1_000, 1_400);
  expect(doubts(before, [1_549])).toEqual([false]);
  expect(doubts(before, [1_551])).toEqual([true]);
  expect(doubts([...before, ...steady(1_600, 1_800)], [1_899])).toEqual([true]);
  expect(doubts([...before, ...steady(1_600, 1_900)], [1_900])).toEqual([false]);
});

test("a store whose clock jumps proves nothing, in either direction", () => {
  for (const ahead of [60_000, -60_000, 200]) {
    expect(doubts([...steady(1_000, 1_400), ...steady(1_500, 1_700, ahead)], [1_700])).toEqual([true]);
    expect(doubts([...steady(1_000, 1_400), ...steady(1_500, 1_800, ahead)], [1_800])).toEqual([false]);
  }
});
