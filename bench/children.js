// A server and its clients as child processes that answer questions, and the numbers that come of it.
import { fork } from "node:child_process";
import { once } from "node:events";

/** Longest wait for an answer. */
const PATIENCE_MS = 1_800_000;

/** A child that runs a script of this folder, and asks it; its first message says that it is ready. */
export async function start(script, args = [], execArgv = []) {
  const child = fork(new URL(script, import.meta.url), args.map(String), { execArgv });
  const ended = once(child, "exit").then(([code]) => {
    throw new Error(`${script} ended with code ${code}.`);
  });
  ended.catch(() => {});
  const answer = async () =>
    (await Promise.race([once(child, "message", { signal: AbortSignal.timeout(PATIENCE_MS) }), ended]))[0];
  const ready = await answer();
  return {
    ready,
    async ask(question) {
      const answered = answer();
      child.send(question);
      return answered;
    },
    async stop() {
      child.kill("SIGKILL");
      await ended.catch(() => {});
    },
  };
}

/** Has this process answer its parent's questions, by `do`. */
export function answerWith(answers) {
  process.on("message", async (question) => process.send((await answers[question.do](question)) ?? {}));
}

export const median = (numbers) => quantile(numbers, 0.5);

export function quantile(numbers, share) {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
}

/** Prints rows of texts as a table, the first column flush left. */
export function printTable(rows) {
  const widths = rows[0].map((_, i) => Math.max(...rows.map((row) => String(row[i]).length)));
  for (const row of rows) {
    console.log(row.map((cell, i) => (i === 0 ? String(cell).padEnd(widths[i]) : String(cell).padStart(widths[i]))).join("   "));
  }
}
