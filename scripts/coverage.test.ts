import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { coverageLine, coverageOf, MEASURED, readCoverage } from "./coverage.js";

const ROOT = "/repository";
const lines = (covered: number, total: number) => ({ lines: { total, covered } });
const inFolders = (coverage: ReturnType<typeof lines>) =>
  Object.fromEntries(MEASURED.map((folder) => [join(ROOT, folder, "file.ts"), coverage]));
const figures = (summary: Parameters<typeof coverageOf>[0]) =>
  Object.fromEntries(coverageOf(summary, ROOT).map(({ folder, percent, isEnough }) => [folder, [percent, isEnough]]));

describe("the lines that tests run", () => {
  it("are counted over the files of a folder, in whatever folders of it", () => {
    const summary = {
      ...inFolders(lines(10, 10)),
      [join(ROOT, "server/src/broker/lmdb/table.ts")]: lines(20, 30),
      [join(ROOT, "standalone/src/api.ts")]: lines(0, 1_000),
      total: lines(1_000, 1_000),
    };
    expect(figures(summary)).toEqual({ "protocol/src": [100, true], "client/src": [100, true], "server/src": [75, false] });
  });

  it("are enough from the least figure on, however it is rounded", () => {
    expect(figures(inFolders(lines(900, 1_000)))).toMatchObject({ "client/src": [90, true] });
    expect(figures(inFolders(lines(89_999, 100_000)))).toMatchObject({ "client/src": [89.9, false] });
  });

  it("are not enough where nothing was measured", () => {
    expect(figures(inFolders(lines(0, 0)))).toMatchObject({ "protocol/src": [0, false] });
    expect(figures(undefined)).toEqual({ "protocol/src": [0, false], "client/src": [0, false], "server/src": [0, false] });
  });

  it("are told by folder and figure", () => {
    expect(coverageLine({ folder: "client/src", percent: 92.3, isEnough: true })).toBe(
      "client/src: 92.3 % of the lines are run by tests",
    );
    expect(coverageLine({ folder: "client/src", percent: 89.9, isEnough: false })).toBe(
      "client/src: 89.9 % of the lines are run by tests; at least 90 % must be",
    );
  });
});

it("a run that was cut short has no figures", () => {
  expect(readCoverage(join(ROOT, "nowhere"))).toBeUndefined();
});
