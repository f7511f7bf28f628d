// What vitest's report says in one line.

/**
 * @typedef {object} Summary
 * @property {number} passed
 * @property {number} failed
 * @property {number} skipped
 */

/**
 * The part of vitest's JSON report that counts.
 * @typedef {object} Report
 * @property {readonly FileReport[]} testResults
 *
 * @typedef {object} FileReport
 * @property {string} status
 * @property {readonly { readonly status: string }[]} assertionResults
 */

/**
 * Counts the tests of a run. Whatever made the run fail without a failed test counts as one failure: a file that could not
 * be loaded, a hook that failed, an unhandled error, a crash, and a run without any test.
 * @param {Report | undefined} report absent when vitest wrote none
 * @param {number} exitCode vitest's
 * @returns {Summary}
 */
export function summarise(report, exitCode) {
  const files = report?.testResults ?? [];
  const statuses = files.flatMap(({ assertionResults }) => assertionResults.map(({ status }) => status));
  const passed = count(statuses, "passed");
  const failedTests = count(statuses, "failed");
  const failedFiles = files.filter(
    ({ status, assertionResults }) => status === "failed" && !assertionResults.some((test) => test.status === "failed"),
  ).length;
  const failed = failedTests + failedFiles;
  const unexplained = failed === 0 && (exitCode !== 0 || passed === 0);
  return { passed, failed: unexplained ? 1 : failed, skipped: statuses.length - passed - failedTests };
}

/** @param {Summary} summary */
export const lastLine = ({ passed, failed, skipped }) =>
  `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`;

/**
 * @param {readonly string[]} statuses
 * @param {string} status
 */
const count = (statuses, status) => statuses.filter((one) => one === status).length;
