import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { owned } from "./owned.ts";
import { until, within } from "./wait.ts";

// Debian's interpreter: python3-socketio is installed for that one.
const PYTHON = "/usr/bin/python3";
const SCRIPT = fileURLToPath(new URL("plain_client.py", import.meta.url));

interface Line {
  readonly connected?: true;
  readonly registered?: unknown;
  readonly message?: unknown;
}

/** How a `PythonClient` connects. */
export interface PythonOptions {
  /** @default the library's own */
  readonly transports?: readonly string[];
  /** Whether to show packets as they came; the library itself starts a thread for each. */
  readonly inOrder?: boolean;
}

/** An untouched python-socketio client in a process of its own. */
export class PythonClient {
  /** What came, one list per connection. */
  readonly connections: unknown[][] = [];
  /** Answers to `register`. */
  readonly registrations: unknown[] = [];
  readonly #child: ChildProcess;
  #errors = "";

  private constructor(url: string, userId: string, { transports = [], inOrder = false }: PythonOptions) {
    const child = spawn(PYTHON, [SCRIPT, url, userId, transports.join(","), ...(inOrder ? ["in-order"] : [])], {
      stdio: ["pipe", "pipe", "pipe"],
    });
    this.#child = child;
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      this.#errors = (this.#errors + text).slice(-4_096);
    });
    createInterface(child.stdout).on("line", (line) => this.#onLine(JSON.parse(line) as Line));
  }

  /** Starts a client, waits until it is registered, and ends it when the test is over. */
  static async start(url: string, userId: string, options: PythonOptions = {}): Promise<PythonClient> {
    const client = owned(new PythonClient(url, userId, options));
    await until("the Python client is registered", () => {
      if (client.#child.exitCode !== null) throw new Error(`The Python client ended.\n${client.#errors}`);
      return client.registrations.length > 0;
    });
    return client;
  }

  get received(): readonly unknown[] {
    return this.connections.flat();
  }

  async close(): Promise<void> {
    const child = this.#child;
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, "exit");
    // A client whose connection hangs would wait for it, so it is not asked politely.
    child.kill("SIGKILL");
    await within("the Python client ends", exited);
  }

  #onLine(line: Line): void {
    if (line.connected) this.connections.push([]);
    if ("registered" in line) this.registrations.push(line.registered);
    if ("message" in line) this.connections.at(-1)?.push(line.message);
  }
}
