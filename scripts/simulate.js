// `npm run simulate -- --runs 100000 --seed 7 --family crashes`: the simulation of delivery, for as many runs as asked, beside
// those that are part of the tests. Without a seed each time begins somewhere else; what breaks names the seed by which it is seen again.
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const VITEST = fileURLToPath(new URL("vitest.mjs", import.meta.resolve("vitest/package.json")));
const FILE = "server/test/simulation/simulation.test.ts";
const USAGE = "Usage: npm run simulate -- [--runs <per family>] [--seed <number>] [--family <name>]";
const MAX_NUMBER = 2 ** 31 - 1;

/**
 * @param {string} message
 * @returns {never}
 */
function refuse(message) {
  console.error(`${message}\n${USAGE}`);
  process.exit(2);
}

function parsed() {
  try {
    const { values } = parseArgs({
      options: { runs: { type: "string" }, seed: { type: "string" }, family: { type: "string" } },
    });
    return values;
  } catch (error) {
    return refuse(error instanceof Error ? error.message : String(error));
  }
}

/**
 * @param {string} name
 * @param {string} text
 * @param {number} least
 */
function wholeNumber(name, text, least) {
  const value = Number(text);
  if (/^-?\d{1,10}$/.test(text) && value >= least && value <= MAX_NUMBER) return String(value);
  return refuse(`--${name} must be a whole number from ${least} to ${MAX_NUMBER}.`);
}

const { runs = "5000", seed, family } = parsed();
// The names are known where the families are: a wrong one is refused there, with a list.
const { status } = spawnSync(process.execPath, [VITEST, "run", "--disableConsoleIntercept", "--reporter=default", FILE], {
  cwd: ROOT,
  stdio: "inherit",
  env: {
    ...process.env,
    SIMULATE_RUNS: wholeNumber("runs", runs, 1),
    ...(seed !== undefined && { SIMULATE_SEED: wholeNumber("seed", seed, -MAX_NUMBER - 1) }),
    ...(family !== undefined && { SIMULATE_FAMILY: family }),
  },
});
process.exitCode = status ?? 1;
