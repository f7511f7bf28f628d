import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, rm, stat, truncate } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { Redis } from "ioredis";
import { until, within } from "./wait.ts";

const HOST = "127.0.0.1";
const execute = promisify(execFile);
/** Cluster nodes talk on a port this much higher, and outgoing connections get theirs from the range above. */
const BUS = 10_000;
const START_MS = 30_000;

// A run that is interrupted leaves no server behind either.
const running = new Set<ChildProcess>();
process.once("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

/** A Redis server of the test's own, with an append-only file. */
export class RedisServer {
  readonly port: number;
  readonly folder: string;
  /** For the test itself. */
  readonly client: Redis;
  readonly #settings: readonly string[];
  #child: ChildProcess | undefined;

  private constructor(port: number, folder: string, settings: readonly string[]) {
    this.port = port;
    this.folder = folder;
    this.#settings = settings;
    const passwordAt = settings.indexOf("--requirepass");
    const password = passwordAt === -1 ? undefined : settings[passwordAt + 1];
    const own = { retryStrategy: () => 20, maxRetriesPerRequest: null, lazyConnect: true };
    this.client = new Redis(port, HOST, { ...own, ...(password !== undefined && { password }) });
    this.client.on("error", () => {});
  }

  /** Starts one that flushes every write before it answers, with further settings as `redis-server` takes them. */
  static start(...settings: readonly string[]): Promise<RedisServer> {
    return RedisServer.#start("--save", "", "--appendonly", "yes", "--appendfsync", "always", ...settings);
  }

  /** Starts a Sentinel with the settings in a file, which it writes to. */
  static startSentinel(file: string): Promise<RedisServer> {
    return RedisServer.#start(file, "--sentinel");
  }

  static async #start(...settings: readonly string[]): Promise<RedisServer> {
    const folder = await mkdtemp(join(tmpdir(), "usercast-redis-"));
    const server = new RedisServer(await freePort(), folder, settings);
    await server.restart();
    return server;
  }

  get url(): string {
    return `redis://${HOST}:${this.port}`;
  }

  /** `kill -9`. */
  async kill(): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, "exit");
    child.kill("SIGKILL");
    await exited;
  }

  /** Starts it again on the same port and folder, and waits until it answers. */
  async restart(): Promise<void> {
    const place = ["--port", String(this.port), "--bind", HOST, "--dir", this.folder];
    const child = spawn("redis-server", [...this.#settings, ...place], { stdio: "ignore" });
    this.#child = child;
    running.add(child);
    child.once("exit", () => running.delete(child));
    await within("Redis answers", this.client.ping(), START_MS);
  }

  /** Stops it from doing anything, while its connections stay open. */
  pause(): void {
    this.#child?.kill("SIGSTOP");
  }

  resume(): void {
    this.#child?.kill("SIGCONT");
  }

  /** Bytes of the append-only file. */
  async logBytes(): Promise<number> {
    return (await stat(await this.#logFile())).size;
  }

  /** Cuts the append-only file of a killed server off, as a power failure does with what was not flushed. */
  async cutLog(bytes: number): Promise<void> {
    await truncate(await this.#logFile(), bytes);
  }

  async close(): Promise<void> {
    this.client.disconnect();
    await this.kill();
    await rm(this.folder, { recursive: true, force: true });
  }

  async #logFile(): Promise<string> {
    const folder = join(this.folder, "appendonlydir");
    const name = (await readdir(folder))
      .filter((file) => file.endsWith(".incr.aof"))
      .sort()
      .at(-1);
    if (name === undefined) throw new Error("Redis has no append-only file.");
    return join(folder, name);
  }
}

/** Three masters and a replica of each. */
export class RedisCluster {
  readonly servers: readonly RedisServer[];

  private constructor(servers: readonly RedisServer[]) {
    this.servers = servers;
  }

  /** Starts one that gives a server up after `nodeTimeoutMs` without an answer. */
  static async start(nodeTimeoutMs = 2_000): Promise<RedisCluster> {
    const settings = ["--cluster-enabled", "yes", "--cluster-node-timeout", String(nodeTimeoutMs)];
    const servers = await Promise.all(Array.from({ length: 6 }, () => RedisServer.start(...settings)));
    const cluster = new RedisCluster(servers);
    const addresses = servers.map(({ port }) => `${HOST}:${port}`);
    await execute("redis-cli", ["--cluster", "create", ...addresses, "--cluster-replicas", "1", "--cluster-yes"], {
      timeout: START_MS,
    });
    await until("the cluster is there", () => cluster.isWhole(), START_MS);
    return cluster;
  }

  get url(): string {
    return this.servers.map(({ url }) => url).join(",");
  }

  /** Those of these servers that are masters now, by their own word. */
  async masters(among: readonly RedisServer[] = this.servers): Promise<readonly RedisServer[]> {
    const roles = await Promise.all(among.map(async (server) => [server, (await server.client.role())[0]] as const));
    return roles.filter(([, role]) => role === "master").map(([server]) => server);
  }

  /** Whether every slot has its master and every master a replica that keeps up. */
  async isWhole(): Promise<boolean> {
    const infos = await Promise.all(
      this.servers.map(async ({ client }) => `${await client.cluster("INFO")}${await client.info("replication")}`),
    );
    const replicas = infos.filter((info) => info.includes("role:slave"));
    const linked = replicas.filter((info) => info.includes("master_link_status:up"));
    return infos.every((info) => info.includes("cluster_state:ok")) && replicas.length === 3 && linked.length === 3;
  }

  async close(): Promise<void> {
    await Promise.all(this.servers.map((server) => server.close()));
  }
}

/** A port below those of outgoing connections, so that a server finds it free again after a restart, with one for the cluster's bus. */
async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < 50; attempt++) {
    const port = 11_000 + Math.floor(Math.random() * 10_000);
    if ((await isFree(port)) && (await isFree(port + BUS))) return port;
  }
  throw new Error("No port is free.");
}

async function isFree(port: number): Promise<boolean> {
  const probe = createServer();
  const free = await new Promise<boolean>((resolve) => {
    probe.once("error", () => resolve(false)).listen(port, HOST, () => resolve(true));
  });
  if (free) await new Promise((resolve) => probe.close(resolve));
  return free;
}
