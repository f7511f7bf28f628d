import { expect, it } from "vitest";
import { Rate } from "./rate.ts";
import { ManualClock } from "./testing/manual-clock.ts";

it("allows so many things of each user in a period, and again in the next", () => {
  const clock = new ManualClock();
  const rate = new Rate({ points: 2, durationMs: 1_000 }, clock);
  const take = () => [rate.take("ana"), rate.take("ana"), rate.take("ana"), rate.take("bo")];
  expect(take()).toEqual([true, true, false, true]);
  clock.advance(999);
  expect(rate.take("ana")).toBe(false);
  clock.advance(1);
  expect(take()).toEqual([true, true, false, true]);
});
