// Finds the processes that a test run started and did not end: servers, browsers, children of tests.
import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

/** The environment variable by which every process of a run can be told: children inherit it. */
export const MARK = "USERCAST_TEST_RUN";

const GRACE_MS = 5_000; // a killed process needs a moment to be gone
const POLL_MS = 100;

/**
 * @typedef {object} Survivor
 * @property {number} pid
 * @property {string} command
 */

/**
 * Ends what is still alive of a run after a moment's grace, and says what that was. Knows processes on Linux only.
 * @param {string} id the run's value of the variable
 * @param {number} [graceMs]
 * @returns {Promise<readonly Survivor[]>}
 */
export async function endSurvivors(id, graceMs = GRACE_MS) {
  const end = Date.now() + graceMs;
  let survivors = survivorsOf(id);
  while (survivors.length > 0 && Date.now() < end) {
    await sleep(POLL_MS);
    survivors = survivorsOf(id);
  }
  for (const { pid } of survivors) {
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // It ended by itself just now; it was still late.
    }
  }
  return survivors;
}

/**
 * @param {string} id
 * @returns {readonly Survivor[]}
 */
function survivorsOf(id) {
  if (process.platform !== "linux") return [];
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((pid) => textOf(pid, "environ").split("\0").includes(`${MARK}=${id}`))
    .map((pid) => ({ pid: Number(pid), command: textOf(pid, "cmdline").replaceAll("\0", " ").trim() }));
}

/**
 * @param {string} pid
 * @param {"environ" | "cmdline"} file
 */
function textOf(pid, file) {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "utf8");
  } catch {
    return ""; // gone meanwhile, or another user's
  }
}
