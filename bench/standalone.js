// The executable as a server of the bench, with mailboxes on LMDB in a folder of its own. It answers no questions: what it took is read from the system.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { endingWithUs, pinned } from "./children.js";

/** How finely Linux tells the time a process took. */
const TICKS_PER_SECOND = 100;
const EXECUTABLE = fileURLToPath(import.meta.resolve("usercast/bin/usercast.js"));

/** Seconds a process has taken outside of the system and in it; its name, in brackets, may hold anything. */
const secondsOf = (pid) =>
  readFileSync(`/proc/${pid}/stat`, "utf8")
    .split(") ")
    .at(-1)
    .split(" ")
    .slice(11, 13)
    .map((ticks) => Number(ticks) / TICKS_PER_SECOND);

export async function startStandalone() {
  const folder = mkdtempSync(join(tmpdir(), "usercast-bench-"));
  const words = [...pinned("server"), process.execPath, EXECUTABLE, "--port", "0", "--data", folder];
  const child = spawn(words[0], words.slice(1), { stdio: ["ignore", "pipe", "ignore"] });
  const end = endingWithUs(child, folder);
  let output = "";
  let port;
  for await (const [text] of events(child)) {
    output += text;
    port = /http:\/\/localhost:(\d+)/.exec(output)?.[1];
    if (port !== undefined) break;
  }
  if (port === undefined) throw new Error(`The executable does not start: ${output}`);
  child.stdout.resume();
  let mark = [0, 0];
  const answers = {
    users: () => ({}),
    cpu() {
      const now = secondsOf(child.pid);
      const [user, system] = now.map((seconds, i) => seconds - mark[i]);
      mark = now;
      return { cpuSeconds: user + system, systemSeconds: system };
    },
  };
  return {
    ready: { port: Number(port) },
    ask: async (question) => answers[question.do](),
    stop: end,
  };
}

/** What it writes, until it writes no more. */
async function* events(child) {
  child.stdout.setEncoding("utf8");
  const ended = once(child, "exit").then(() => undefined);
  for (;;) {
    const data = await Promise.race([once(child.stdout, "data"), ended]);
    if (data === undefined) return;
    yield data;
  }
}
