import { expect, test } from "vitest";
import { Doubt } from "./doubt.ts";

type Renewal = readonly [now: number, storeNow: number];

/** Until when an ended lease proves a death, as seen at `at`, after these renewals by our clock and the store's. */
function trustedUntil(renewals: readonly Renewal[], at: number): number {
  const doubt = new Doubt(300);
  for (const [now, storeNow] of renewals.filter(([now]) => now <= at)) doubt.renewed(now, storeNow);
  return doubt.trustedUntil(at);
}

const steady = (from: number, to: number, ahead = 0): readonly Renewal[] =>
  Array.from({ length: (to - from) / 100 + 1 }, (_, i) => [from + i * 100, from + i * 100 + ahead]);

test("who has just come takes nobody for dead for a lease, and then believes what it sees for half a lease", () => {
  expect(trustedUntil([], 0)).toBe(0);
  expect(trustedUntil(steady(1_000, 1_200), 1_299)).toBe(0);
  expect(trustedUntil(steady(1_000, 1_300, 7_000), 1_300)).toBe(8_450);
  // A command that waits longer than that proves nothing any more.
  expect(trustedUntil(steady(1_000, 1_300, 7_000), 5_000)).toBe(8_450);
});

test("who could not renew in time takes nobody for dead for a lease afterwards", () => {
  const before = steady(1_000, 1_400);
  expect(trustedUntil([...before, ...steady(1_600, 1_800)], 1_899)).toBe(0);
  expect(trustedUntil([...before, ...steady(1_600, 1_900)], 1_900)).toBe(2_050);
});

test("a store whose clock jumps proves nothing, in either direction", () => {
  for (const ahead of [60_000, -60_000, 200]) {
    expect(trustedUntil([...steady(1_000, 1_400), ...steady(1_500, 1_700, ahead)], 1_700)).toBe(0);
    expect(trustedUntil([...steady(1_000, 1_400), ...steady(1_500, 1_800, ahead)], 1_800)).toBe(1_950 + ahead);
  }
});
