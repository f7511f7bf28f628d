import { describe, expect, it } from "vitest";
import { ratiosOf, verdictOf } from "./keys.js";

const one = (family: string, row: string, median: number) => ({ family, row, median });

describe("ratios", () => {
  it("are there for keys both of whose rows were measured", () => {
    const cases = [one("one", "seed", 30_000), one("one", "volatile", 60_000), one("burst", "volatile", 300_000)];
    expect(ratiosOf(cases)).toEqual({ "volatile/seed": 2 });
  });

  it("compare with the better of two adapters, once both were measured", () => {
    const cases = [one("nodes", "volatile-2", 30), one("nodes", "classic-2", 10)];
    expect(ratiosOf(cases)).toEqual({});
    expect(ratiosOf([...cases, one("nodes", "sharded-2", 20)])).toEqual({ "nodes/redis-adapter": 1.5 });
  });
});

it("where more is better, at least that has to be reached", () => {
  expect([1.89, 1.9, 2.49, 2.5].map((ratio) => verdictOf("volatile/seed", ratio))).toEqual([
    "missed",
    "reached",
    "reached",
    "goal",
  ]);
});

it("where less is better, at most that may be reached", () => {
  expect([1.16, 1.15, 1.06, 1.05].map((ratio) => verdictOf("idle-memory/socket.io", ratio))).toEqual([
    "missed",
    "reached",
    "reached",
    "goal",
  ]);
});
