import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { within } from "./wait.ts";

/** The built server; `USERCAST_BIN` names another one to put under test. */
const EXECUTABLE = process.env["USERCAST_BIN"] ?? fileURLToPath(new URL("../../standalone/bin/usercast.js", import.meta.url));

/** The end of what a server wrote on standard error, at most. */
const MAX_LOG_LENGTH = 16_384;

/** How a `TestServer` is started. */
export interface ServerOptions {
  /** Another script to run, which keeps no data of its own. @default the built server */
  readonly script?: string;
  /** @default 0, a free one */
  readonly port?: number;
  /** A folder for its data that somebody else made, and removes. @default a new one, which `close` removes */
  readonly dataDir?: string;
  /** `usercast` or `usercast serve`, which needs `env` to say whom to believe. @default "dev" */
  readonly command?: "dev" | "serve";
  /** Keeps the mailboxes in this Redis, and not in a folder of its own. */
  readonly redisUrl?: string;
  /** That `args` or `env` say where mailboxes are kept. */
  readonly storeIsElsewhere?: boolean;
  /** Further arguments. */
  readonly args?: readonly string[];
  /** Environment beside `PATH` and the like; settings of the tests' own environment never reach the server. */
  readonly env?: Readonly<Record<string, string>>;
}

// A run that is interrupted leaves no server behind either.
const running = new Set<ChildProcess>();
process.once("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

/** The real, built server as a process of its own, with a folder of its own. */
export class TestServer {
  readonly dataDir: string;
  readonly #options: ServerOptions;
  #child: ChildProcess | undefined;
  #port: number;
  #log = "";

  private constructor(dataDir: string, options: ServerOptions) {
    this.dataDir = dataDir;
    this.#options = options;
    this.#port = options.port ?? 0;
  }

  /** Starts a server and waits until it says where it listens. */
  static async start(options: ServerOptions = {}): Promise<TestServer> {
    const server = new TestServer(options.dataDir ?? (await mkdtemp(join(tmpdir(), "usercast-test-"))), options);
    try {
      await server.#spawn();
    } catch (error) {
      await server.close();
      throw error;
    }
    return server;
  }

  get port(): number {
    return this.#port;
  }

  /** By number: `localhost` would be tried on two addresses. */
  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** The end of the log, for a test that failed. */
  get log(): string {
    return this.#log;
  }

  /** Of the process that runs now, or ran last. */
  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  get alive(): boolean {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** What it ended with; nothing while it lives, and where a signal ended it. */
  get exitCode(): number | null {
    return this.#child?.exitCode ?? null;
  }

  /** The ids of the processes it has started, where it is several. */
  get workers(): readonly number[] {
    const pid = this.#child?.pid;
    const path = `/proc/${pid}/task/${pid}/children`;
    const children = existsSync(path) ? readFileSync(path, "utf8") : "";
    return children.split(" ").filter(Boolean).map(Number);
  }

  /** Memory of the process's own that is in use now, in bytes; pages of the store that the kernel caches do not count. */
  get memoryBytes(): number {
    const status = readFileSync(`/proc/${this.#child?.pid}/status`, "utf8");
    return Number(/^RssAnon:\s+(\d+) kB$/m.exec(status)?.[1]) * 1_024;
  }

  /** Asks it to stop, as a service manager does; resolves with its exit code. */
  async stop(): Promise<number | null> {
    return this.#end("SIGTERM");
  }

  /** `kill -9`. */
  async kill(): Promise<void> {
    await this.#end("SIGKILL");
  }

  /** Starts it again on the same port and folder, after `stop` or `kill`. */
  async restart(): Promise<void> {
    await this.#spawn();
  }

  /** Ends the process, if it lives, and removes its folder. */
  async close(): Promise<void> {
    if (this.alive) await this.kill();
    if (this.#options.dataDir === undefined) await rm(this.dataDir, { recursive: true, force: true });
  }

  async #end(signal: NodeJS.Signals): Promise<number | null> {
    const child = this.#child;
    if (child === undefined || !this.alive) throw new Error(`The server is not running.\n${this.#log}`);
    const exited = once(child, "exit");
    child.kill(signal);
    const [code] = (await within(`the server ends after ${signal}`, exited)) as [number | null];
    return code;
  }

  async #spawn(): Promise<void> {
    const { script = EXECUTABLE, command = "dev", redisUrl, storeIsElsewhere, args = [], env = {} } = this.#options;
    if (!existsSync(script)) throw new Error(`${script} is missing; run "npm run build".`);
    const inherited = Object.entries(process.env).filter(([name]) => !/^(USERCAST_|NODE_|VITEST|PORT$)/.test(name));
    const folder = storeIsElsewhere ? [] : ["--data", this.dataDir];
    const store = redisUrl === undefined ? folder : ["--redis-url", redisUrl];
    const own = script === EXECUTABLE ? [command, ...store] : [];
    const child = spawn(process.execPath, [script, ...own, "--port", String(this.#port), ...args], {
      env: { ...Object.fromEntries(inherited), ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#child = child;
    running.add(child);
    child.once("exit", () => running.delete(child));
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      this.#log = (this.#log + text).slice(-MAX_LOG_LENGTH);
    });
    this.#port = await within(
      "the server says where it listens",
      portOf(child, () => this.#log),
    );
  }
}

/** The port in the first lines a server prints. */
function portOf(child: ChildProcess, log: () => string): Promise<number> {
  return new Promise((resolve, reject) => {
    let output = "";
    child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      if (output.length < MAX_LOG_LENGTH) output += text;
      const port = /\bhttp:\/\/[^\s/]+:(\d+)/.exec(output)?.[1];
      if (port !== undefined) resolve(Number(port));
    });
    child.once("error", reject);
    child.once("close", (code) => reject(new Error(`The server ended at its start with code ${code}.\n${log()}`)));
  });
}

/**
 * A free port outside the range the kernel takes for outgoing connections. For servers that are started again on their
 * port: while they are down, a client that dials could otherwise be given that very port, and keep it.
 */
export async function steadyPort(): Promise<number> {
  for (let attempt = 0; attempt < 50; attempt++) {
    const port = 12_000 + Math.floor(Math.random() * 18_000);
    const probe = createServer();
    const free = await new Promise<boolean>((resolve) => {
      probe.once("error", () => resolve(false)).listen(port, "127.0.0.1", () => resolve(true));
    });
    if (!free) continue;
    await new Promise((resolve) => probe.close(resolve));
    return port;
  }
  throw new Error("No port is free.");
}
