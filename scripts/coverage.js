// How much of what applications import the tests run: `node scripts/coverage.js` after a run that measured it, as `npm run coverage` does.
// Vitest's own thresholds would only fail the run; the last line of `npm test` counts each folder that is below.
import { readFileSync } from "node:fs";
import { join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const LEAST_PERCENT = 90;

/** The folders that are measured, each for itself: a well tested one makes up for no other. */
export const MEASURED = ["protocol/src", "client/src", "server/src"];

/** What has no lines to run, or is made of tests: the contract that brokers keep. */
export const UNMEASURED = ["server/src/testing/**", "**/*.test-d.ts", "**/*.d.ts"];

/** What is measured only where there is a Redis server. */
export const NEEDS_REDIS = ["server/src/broker/redis.ts", "server/src/broker/redis/**"];

/**
 * The part of the summary that counts: the lines of each file, by its absolute path.
 * @typedef {Readonly<Record<string, { readonly lines: { readonly total: number, readonly covered: number } }>>} CoverageSummary
 *
 * @typedef {object} FolderCoverage
 * @property {string} folder
 * @property {number} percent of its lines, rounded down to a tenth; 0 where nothing was measured
 * @property {boolean} isEnough
 */

/**
 * The figure of each folder.
 * @param {CoverageSummary | undefined} summary absent when vitest wrote none
 * @param {string} [root] what the folders are in
 * @returns {readonly FolderCoverage[]}
 */
export function coverageOf(summary = {}, root = ROOT) {
  const files = Object.entries(summary).map(([path, { lines }]) => ({ path: relative(root, path).replaceAll(sep, "/"), lines }));
  return MEASURED.map((folder) => {
    const { total, covered } = sum(files.filter(({ path }) => path.startsWith(`${folder}/`)).map(({ lines }) => lines));
    return {
      folder,
      percent: total === 0 ? 0 : Math.floor((covered * 1_000) / total) / 10,
      isEnough: total > 0 && covered * 100 >= LEAST_PERCENT * total,
    };
  });
}

/** @param {FolderCoverage} coverage */
export const coverageLine = ({ folder, percent, isEnough }) =>
  `${folder}: ${percent} % of the lines are run by tests${isEnough ? "" : `; at least ${LEAST_PERCENT} % must be`}`;

/**
 * What vitest wrote into a folder.
 * @param {string} folder
 * @returns {CoverageSummary | undefined}
 */
export function readCoverage(folder) {
  try {
    return JSON.parse(readFileSync(join(folder, "coverage-summary.json"), "utf8"));
  } catch {
    return undefined; // vitest ended before it could write it
  }
}

/** @param {readonly { readonly total: number, readonly covered: number }[]} lines */
function sum(lines) {
  let total = 0;
  let covered = 0;
  for (const file of lines) {
    total += file.total;
    covered += file.covered;
  }
  return { total, covered };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const folders = coverageOf(readCoverage(join(ROOT, "coverage")));
  for (const folder of folders) console.log(coverageLine(folder));
  process.exitCode = folders.every(({ isEnough }) => isEnough) ? 0 : 1;
}
