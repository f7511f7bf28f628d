// Processes that answer questions: servers on one core, everything else on another, so that neither takes time from the other.
import { fork, spawnSync } from "node:child_process";
import { once } from "node:events";
import { rmSync } from "node:fs";
import { availableParallelism } from "node:os";

/** Longest wait for an answer. */
const PATIENCE_MS = 1_800_000;
/** Longest wait for a child to end by itself. */
const FAREWELL_MS = 2_000;

let canPin;
/** Whether processes can be tied to a core here. */
export function isPinned() {
  canPin ??= availableParallelism() >= 2 && spawnSync("taskset", ["--version"]).status === 0;
  return canPin;
}

const CORES = { server: "0", clients: "1" };

/** The words before a command that tie it to the core of its side, `server` or `clients`. */
export const pinned = (side) => (isPinned() ? ["taskset", "-c", CORES[side]] : []);

/**
 * A child that runs a script of this folder, and asks it; its first message says that it is ready.
 * @param options `args`: of the script; `side`: `server` or `clients`; `node`: arguments of Node's
 */
export async function start(script, { args = [], side = "clients", node = [] } = {}) {
  const [execPath, ...execArgv] = [...pinned(side), process.execPath, ...node];
  const child = fork(new URL(script, import.meta.url), args.map(String), { execPath, execArgv });
  const ended = once(child, "exit").then(([code, signal]) => {
    throw new Error(`${script} ${args.join(" ")} ended with ${code ?? signal}.`);
  });
  ended.catch(() => {});
  const answer = async () =>
    (await Promise.race([once(child, "message", { signal: AbortSignal.timeout(PATIENCE_MS) }), ended]))[0];
  const ready = await answer();
  return {
    ready,
    pid: child.pid,
    async ask(question) {
      const answered = answer();
      child.send(question);
      const given = await answered;
      if (given.failure !== undefined) throw new Error(given.failure);
      return given;
    },
    /** Lets it end by itself, so that it leaves no folder behind; for some time. */
    async stop() {
      if (child.connected) child.disconnect();
      const timer = setTimeout(() => child.kill("SIGKILL"), FAREWELL_MS);
      await ended.catch(() => {});
      clearTimeout(timer);
    },
    /** `kill -9`. */
    async kill() {
      child.kill("SIGKILL");
      await ended.catch(() => {});
    },
  };
}

/**
 * Has a process that answers no questions end with this one, at the latest.
 * @returns ends it, and removes its folder
 */
export function endingWithUs(child, folder) {
  const kill = () => child.kill("SIGKILL");
  process.once("exit", kill);
  return async () => {
    process.off("exit", kill);
    kill();
    if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
    rmSync(folder, { recursive: true, force: true });
  };
}

/** Has this process answer its parent's questions, by `do`; it ends with its parent. */
export function answerWith(answers) {
  process.on("message", async (question) => {
    try {
      process.send((await answers[question.do](question)) ?? {});
    } catch (error) {
      process.send({ failure: error instanceof Error ? error.stack : String(error) });
    }
  });
  process.on("disconnect", () => process.exit(0));
}
