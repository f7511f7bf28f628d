import { expect, test } from "vitest";
import { Restarts } from "./restarts.ts";

test("who dies again and again comes back later each time, and then not any more", () => {
  const restarts = new Restarts();
  expect([0, 1, 2, 3, 4, 5].map((second) => restarts.died(second * 1_000))).toEqual([100, 200, 400, 800, 1_600, undefined]);
});

test("deaths that are a minute ago do not count", () => {
  const restarts = new Restarts();
  for (let minute = 0; minute < 20; minute++) expect(restarts.died(minute * 60_000)).toBe(100);
});
