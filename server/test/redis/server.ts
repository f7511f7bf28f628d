import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { Cluster, Redis } from "ioredis";

// Real servers for tests, each on a free port of loopback and in a folder of its own.

const HOST = "127.0.0.1";
const DEADLINE_MS = 30_000;
const execute = promisify(execFile);

/** One Redis server. */
export interface TestServer {
  readonly port: number;
  readonly url: string;
  readonly folder: string;
  /** A client for the test itself; it is closed with the server. */
  readonly client: Redis;
  /** Ends the process as a crash would. */
  kill(): Promise<void>;
  /** Starts it again on the same port and folder. */
  restart(): Promise<void>;
  /** Stops it from doing anything, without closing a connection. */
  pause(): void;
  resume(): void;
  /** Ends it and removes its folder. */
  stop(): Promise<void>;
}

/** A port that nobody listens on, and whose port for the bus of a cluster can be used as well. */
export async function freePort(): Promise<number> {
  for (;;) {
    const probe = createServer().listen(0, HOST);
    await once(probe, "listening");
    const address = probe.address();
    await new Promise((resolve) => probe.close(resolve));
    if (typeof address === "object" && address !== null && address.port < 55_000) return address.port;
  }
}

/** Starts a server that flushes every write, with further settings as `redis-server` takes them. */
export async function startServer(...settings: readonly string[]): Promise<TestServer> {
  const folder = await mkdtemp(join(tmpdir(), "usercast-redis-"));
  const port = await freePort();
  const base = ["--port", String(port), "--bind", HOST, "--dir", folder, "--save", ""];
  const common = [...base, "--appendonly", "yes", "--appendfsync", "always", "--enable-debug-command", "yes"];
  const passwordAt = settings.indexOf("--requirepass");
  const password = passwordAt === -1 ? undefined : settings[passwordAt + 1];
  const options = {
    retryStrategy: () => 20,
    maxRetriesPerRequest: null,
    lazyConnect: true,
    ...(password !== undefined && { password }),
  };
  const client = new Redis(port, HOST, options);
  client.on("error", () => {});
  let child: ChildProcess;
  const start = async (): Promise<void> => {
    child = spawn("redis-server", [...common, ...settings], { stdio: "ignore" });
    await client.ping();
  };
  const kill = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, "exit");
    child.kill("SIGKILL");
    await exited;
  };
  await start();
  return {
    port,
    url: `redis://${password === undefined ? "" : `:${password}@`}${HOST}:${port}`,
    folder,
    client,
    kill,
    restart: start,
    pause: () => void child.kill("SIGSTOP"),
    resume: () => void child.kill("SIGCONT"),
    stop: async () => {
      client.disconnect();
      await kill();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Starts a Sentinel that gives a master up after half a second; answers its port and a way to stop it. */
export async function startSentinel(master: TestServer): Promise<{ readonly port: number; stop(): Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), "usercast-sentinel-"));
  const port = await freePort();
  const file = join(folder, "sentinel.conf");
  const lines = [
    `port ${port}`,
    `bind ${HOST}`,
    `dir ${folder}`,
    `sentinel monitor main ${HOST} ${master.port} 1`,
    "sentinel down-after-milliseconds main 500",
    "sentinel failover-timeout main 3000",
  ];
  await writeFile(file, `${lines.join("\n")}\n`);
  const child = spawn("redis-server", [file, "--sentinel"], { stdio: "ignore" });
  const client = new Redis(port, HOST, { retryStrategy: () => 20, maxRetriesPerRequest: null });
  client.on("error", () => {});
  const knowsReplica = async () => String(await client.call("SENTINEL", "MASTER", "main")).includes("num-slaves,1,");
  await waitFor(knowsReplica, "the sentinel knows a replica");
  client.disconnect();
  return {
    port,
    stop: async () => {
      const exited = once(child, "exit");
      child.kill("SIGKILL");
      await exited;
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** A cluster of three masters with a replica each. */
export interface TestCluster {
  /** Masters first, as they were in the beginning. */
  readonly servers: readonly TestServer[];
  /** A client for the test itself; it is closed with the cluster. */
  readonly client: Cluster;
  /** Resolves when every slot has its master, and every master a replica that has caught up. */
  whole(): Promise<void>;
  stop(): Promise<void>;
}

/** Starts a cluster whose nodes are given up after `nodeTimeoutMs` without an answer. */
export async function startCluster(nodeTimeoutMs = 2_000): Promise<TestCluster> {
  const timeout = ["--cluster-node-timeout", String(nodeTimeoutMs)];
  // By default a master lets a replica wait five seconds for others to copy it to at once.
  const settings = ["--cluster-enabled", "yes", ...timeout, "--appendfsync", "everysec", "--repl-diskless-sync-delay", "0"];
  const servers = await Promise.all(Array.from({ length: 6 }, () => startServer(...settings)));
  const addresses = servers.map(({ port }) => `${HOST}:${port}`);
  await execute("redis-cli", ["--cluster", "create", ...addresses, "--cluster-replicas", "1", "--cluster-yes"], {
    timeout: DEADLINE_MS,
  });
  const whole = async (): Promise<void> => {
    const isReady = async ({ client }: TestServer): Promise<boolean> =>
      (await client.cluster("INFO")).includes("cluster_state:ok");
    await waitFor(async () => (await Promise.all(servers.map(isReady))).every(Boolean), "the cluster is there");
    const hasCaughtUp = async ({ client }: TestServer) => (await client.info("replication")).includes("master_link_status:up");
    const linked = async () => (await Promise.all(servers.map(hasCaughtUp))).filter(Boolean);
    await waitFor(async () => (await linked()).length === 3, "its replicas have caught up");
  };
  await whole();
  const client = new Cluster(
    servers.map(({ port }) => ({ host: HOST, port })),
    { shardedSubscribers: true },
  );
  client.on("error", () => {});
  return {
    servers,
    client,
    whole,
    stop: async () => {
      client.disconnect();
      await Promise.all(servers.map((server) => server.stop()));
    },
  };
}

/** Waits until something holds. */
export async function waitFor(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const deadline = Date.now() + DEADLINE_MS;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`waited in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
