import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { steadyPort } from "./server.ts";
import { until } from "./wait.ts";

// A run that is interrupted leaves no server behind either.
const running = new Set<ChildProcess>();
process.once("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

/** Debian's Redis as a process of its own, that keeps what it is told in a folder of its own. */
export class TestRedis {
  readonly port: number;
  readonly #folder: string;
  readonly #settings: readonly string[];
  #child: ChildProcess | undefined;

  private constructor(port: number, folder: string, settings: readonly string[]) {
    this.port = port;
    this.#folder = folder;
    this.#settings = settings;
  }

  /** Starts one, with further settings as `redis-server` takes them, and waits until it answers. */
  static async start(...settings: readonly string[]): Promise<TestRedis> {
    const redis = new TestRedis(await steadyPort(), await mkdtemp(join(tmpdir(), "usercast-redis-")), settings);
    await redis.restart();
    return redis;
  }

  /** By number: `localhost` would be tried on two addresses. */
  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  /** `kill -9`. */
  async kill(): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, "exit");
    child.kill("SIGKILL");
    await exited;
  }

  /** Starts it again on the same port and folder. */
  async restart(): Promise<void> {
    const place = ["--port", String(this.port), "--bind", "127.0.0.1", "--dir", this.#folder];
    const child = spawn("redis-server", [...place, "--save", "", "--appendonly", "yes", ...this.#settings], { stdio: "ignore" });
    this.#child = child;
    running.add(child);
    child.once("exit", () => running.delete(child));
    await until("Redis answers", () => answers(this.port));
  }

  /** Ends it and removes its folder. */
  async close(): Promise<void> {
    await this.kill();
    await rm(this.#folder, { recursive: true, force: true });
  }
}

/** Whether it has read what it keeps; also one that wants a password is there. */
function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => socket.write("PING\r\n"));
    socket.once("error", () => resolve(false));
    socket.once("data", (data) => {
      socket.destroy();
      resolve(/^(?:\+PONG|-NOAUTH)/.test(data.toString()));
    });
  });
}
