import { expect, it } from "vitest";
import { median, quantile, spread, sum } from "./stats.js";

it("a median is the one in the middle, or lies between the two", () => {
  expect(median([3, 1, 2])).toBe(2);
  expect(median([4, 1, 2, 3])).toBe(2.5);
  expect(median([7])).toBe(7);
  expect(median([])).toBeNaN();
});

it("quantiles lie in proportion between two numbers", () => {
  expect(quantile([10, 0, 20, 30, 40], 0.25)).toBe(10);
  expect(quantile([0, 10], 0.9)).toBeCloseTo(9);
  expect(quantile([1, 2, 3], 0)).toBe(1);
  expect(quantile([1, 2, 3], 1)).toBe(3);
});

it("numbers are ordered as numbers, and stay as they were given", () => {
  const samples = [10, 9, 100];
  expect(spread(samples)).toEqual({ median: 10, p25: 9.5, p75: 55, samples: [10, 9, 100] });
  expect(sum(samples)).toBe(119);
});
