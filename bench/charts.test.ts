import { expect, it } from "vitest";
import { chartOf } from "./charts.js";

const bars = [
  { title: "a < b & c", median: 50, p25: 40, p75: 60, client: "plain" },
  { title: "ours", median: 100, p25: 90, p75: 120, client: "sdk", isOurs: true },
];
const svg = chartOf(bars, { title: "Messages", unit: "messages per CPU second" });
const widths = [...svg.matchAll(/<rect class="(\w+)".* width="([\d.]+)"/g)].map(([, name, width]) => [name, Number(width)]);

it("bars are as long as their medians, and the longest spread has room", () => {
  const [[, theirs] = [], [, ours] = []] = widths;
  expect(widths.map(([name]) => name)).toEqual(["theirs", "ours"]);
  expect(Number(ours) / Number(theirs)).toBeCloseTo(2, 1);
  const ends = [...svg.matchAll(/x2="([\d.]+)"/g)].map(([, end]) => Number(end));
  expect(Math.max(...ends)).toBeLessThan(860);
});

it("titles may hold anything", () => {
  expect(svg).toContain("a &lt; b &amp; c (plain)");
});
