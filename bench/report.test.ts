import { expect, it } from "vitest";
import { KEYS } from "./keys.js";
import { jsonOf, reportOf, withFigures } from "./report.js";

const machine = { cores: 2, cpu: "a processor" };
const versions = { node: "v20", "socket.io": "4", ws: "8" };
const row = { family: "one", about: "One message", unit: "messages per CPU second", p25: 1, p75: 3 };
const cases = [
  { ...row, row: "seed", title: "the map", median: 30_000, client: "plain", serverUtilisation: 0.994 },
  { ...row, row: "volatile", title: "ours", median: 60_000, client: "sdk" },
];

it("a report has a table for each family, with the columns it has figures for, and one of the keys", () => {
  const report = reportOf({ machine, versions, cases, ratios: { "volatile/seed": 2 } });
  const lines = report.split("\n").map((line) => line.split(/ {3,}/));
  expect(lines).toContainEqual(["One message", "clients", row.unit, "p25–p75", "first = 1", "server busy"]);
  expect(lines).toContainEqual(["ours", "sdk", "60,000", "1.00–3.00", "2.00", "–"]);
  expect(lines).toContainEqual(["volatile/seed", "1.9", "2.5", "2.00", "reached"]);
});

it("a page gets a line for each key, and keeps what is around them", () => {
  const page = withFigures("before\n<!-- figures -->\nold\n<!-- /figures -->\nafter", { "idle-memory/socket.io": 1.04 });
  expect(page).toMatch(/^before\n<!-- figures -->\n\| Key [\s\S]*\n<!-- \/figures -->\nafter$/);
  expect(page.split("\n").filter((line) => line.startsWith("| `"))).toHaveLength(Object.keys(KEYS).length);
  expect(page).toContain("| ≤ 1.15 | ≤ 1.05 | 1.04, goal |");
  expect(page).toContain("| 1.9 | 2.5 | – |");
  expect(withFigures(page, { "idle-memory/socket.io": 1.04 })).toBe(page);
});

it("what is kept has no more digits than mean something, and lists of numbers on one line", () => {
  const samples = [123_456.789, 0.000012345678, 10_000, -3];
  const json = jsonOf({
    machine,
    versions,
    cases: cases.map((one) => ({ ...one, samples })),
    ratios: { "volatile/seed": 1.23456789 },
  });
  expect(json).toContain('"samples": [123460, 0.000012346, 10000, -3]');
  expect(JSON.parse(json).ratios).toEqual({ "volatile/seed": 1.2346 });
});
