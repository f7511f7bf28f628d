// `npm test`: builds, brings what the tests need, runs them, and ends with one line: "N passed, N failed".
// `--core` leaves out what needs a browser, Python or Redis. Further arguments are vitest's own; with any, coverage is not measured,
// because a part of the tests runs a part of the code.
import { spawn, spawnSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { coverageLine, coverageOf, NEEDS_REDIS, readCoverage, UNMEASURED } from "./coverage.js";
import { bringPackages } from "./debian.js";
import { lastLine, summarise } from "./report.js";
import { endSurvivors, MARK } from "./survivors.js";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const VITEST = fileURLToPath(new URL("vitest.mjs", import.meta.resolve("vitest/package.json")));
const CORE = "--core";
const REPORT = "report.json";
const COVERAGE = "coverage";

/** @typedef {import("./report.js").Summary} Summary */

const vitestArguments = process.argv.slice(2).filter((argument) => argument !== CORE);
const core = process.argv.includes(CORE);
const measured = vitestArguments.length === 0;

/** @type {Summary} */
const unready = { passed: 0, failed: 1, skipped: 0 };
const summary = build() && (core || bringPackages()) ? await run() : unready;
console.log(`\n${lastLine(summary)}`);
process.exitCode = summary.failed > 0 ? 1 : 0;

function build() {
  const { status } = spawnSync("npm", ["run", "--silent", "build"], { cwd: ROOT, stdio: "inherit" });
  if (status !== 0) console.error("The build failed, so no test was run.");
  return status === 0;
}

/** @returns {Promise<Summary>} */
async function run() {
  const folder = mkdtempSync(join(tmpdir(), "usercast-test-"));
  const id = randomUUID();
  try {
    const exitCode = await vitest(folder, id);
    const summary = summarise(readReport(join(folder, REPORT)), exitCode);
    const left = await endSurvivors(id);
    for (const { pid, command } of left) console.error(`A process outlived the tests and was killed: ${pid} ${command}`);
    // Where a test failed, vitest measures nothing: what was not reached would only repeat it.
    const below = measured && summary.failed === 0 ? insufficient(join(folder, COVERAGE)) : 0;
    return { ...summary, failed: summary.failed + left.length + below };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * Says what was measured, and counts the folders of which too little was run.
 * @param {string} folder where vitest wrote it
 */
function insufficient(folder) {
  const folders = coverageOf(readCoverage(folder));
  console.log("");
  for (const coverage of folders) console.log(coverageLine(coverage));
  return folders.filter(({ isEnough }) => !isEnough).length;
}

/**
 * @param {string} folder where it writes what it found
 * @param {string} id what every process of this run can be told by
 * @returns {Promise<number>} its exit code; 1 where a signal ended it
 */
function vitest(folder, id) {
  const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${join(folder, REPORT)}`];
  const projects = core ? ["--project=core", "--project=scripts"] : [];
  const excluded = [...UNMEASURED, ...(core ? NEEDS_REDIS : [])].map((pattern) => `--coverage.exclude=${pattern}`);
  const coverage = [
    "--coverage",
    "--coverage.reporter=json-summary",
    `--coverage.reportsDirectory=${join(folder, COVERAGE)}`,
    ...excluded,
  ];
  const options = [...reporters, ...projects, ...(measured ? coverage : []), ...vitestArguments];
  const child = spawn(process.execPath, [VITEST, "run", ...options], {
    cwd: ROOT,
    stdio: "inherit",
    env: { ...process.env, [MARK]: id },
  });
  // Who stops this process means the tests; what they leave behind is still to be ended here.
  for (const signal of /** @type {const} */ (["SIGINT", "SIGTERM"])) process.on(signal, () => child.kill(signal));
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code) => resolve(code ?? 1));
  });
}

/** @param {string} file */
function readReport(file) {
  try {
    return JSON.parse(readFileSync(file, "utf8"));
  } catch {
    return undefined; // vitest ended before it could write it
  }
}
