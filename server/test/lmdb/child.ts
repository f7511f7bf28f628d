import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

/** A message the publisher was told is accepted. */
export interface Accepted {
  readonly userId: string;
  readonly offset: number;
  readonly content: string;
}

/** A process that publishes until it is killed, and what it said so far. */
export class Publisher {
  readonly accepted: Accepted[] = [];
  readonly failures: string[] = [];
  readonly process: ChildProcess;
  readonly #ended: Promise<unknown>;
  #errors = "";

  /** `limit` goes before the command, to run it under a limit of the shell's. */
  constructor(path: string, senders: number, limit = "") {
    const script = fileURLToPath(new URL("publisher.js", import.meta.url));
    this.process = spawn("bash", ["-c", `${limit} exec "$0" "$@"`, process.execPath, script, path, String(senders)]);
    this.#ended = once(this.process, "close");
    let rest = "";
    this.process.stdout?.setEncoding("utf8").on("data", (chunk: string) => {
      const lines = (rest + chunk).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) this.#hear(line);
    });
    this.process.stderr?.setEncoding("utf8").on("data", (chunk: string) => {
      this.#errors = (this.#errors + chunk).slice(-10_000);
    });
  }

  /** Resolves when `condition` holds; rejects when the process ends before. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      if (this.process.exitCode !== null || this.process.signalCode !== null) throw new Error(`It ended: ${this.#errors}`);
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }

  /** Ends the process as a crash would, and waits until all it said has arrived. */
  async kill(): Promise<void> {
    this.process.kill("SIGKILL");
    await this.#ended;
  }

  /** Resolves when the process has ended by itself. */
  async ended(): Promise<void> {
    await this.#ended;
  }

  #hear(line: string): void {
    const [sign, userId = "", offset, content = ""] = line.split(" ");
    if (sign === "+") this.accepted.push({ userId, offset: Number(offset), content });
    else this.failures.push(userId);
  }
}
