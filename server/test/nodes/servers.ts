import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Redis } from "ioredis";
import { afterAll, beforeAll, onTestFinished } from "vitest";
import { redis } from "../../src/broker/redis.ts";
import type { Broker, UsercastOptions } from "../../src/index.ts";
import { type Running, start } from "../harness.ts";

/** A Redis of this file's own, started before its tests and stopped after them. */
export function ownRedis(): { readonly url: () => string } {
  let url = "";
  let stop = async (): Promise<void> => {};
  beforeAll(async () => {
    const folder = mkdtempSync(join(tmpdir(), "usercast-nodes-"));
    const probe = createServer().listen(0, "127.0.0.1");
    await once(probe, "listening");
    const { port } = probe.address() as { port: number };
    probe.close();
    const args = ["--port", String(port), "--dir", folder, "--appendonly", "yes", "--save", "", "--bind", "127.0.0.1"];
    const child = spawn("redis-server", args, { stdio: "ignore" });
    url = `redis://127.0.0.1:${port}`;
    stop = async () => {
      child.kill("SIGKILL");
      await once(child, "exit");
      rmSync(folder, { recursive: true, force: true });
    };
    const ping = new Redis(url, { retryStrategy: () => 20, maxRetriesPerRequest: null });
    ping.on("error", () => {});
    await ping.ping();
    ping.disconnect();
  });
  afterAll(() => stop());
  return { url: () => url };
}

/** A node, with a way to have it die: its store hears nothing of it any more, and its clients stay. */
export interface Node extends Running {
  readonly client: Redis;
  /** Cuts it off from the store for good, without a word. */
  readonly die: () => void;
}

let stores = 0;

/** A prefix that no other test uses. */
export const freshPrefix = (): string => {
  stores += 1;
  return `t${stores}:`;
};

/** A broker of one node. */
export async function openNode(url: string, prefix: string): Promise<{ broker: Broker; client: Redis; die: () => void }> {
  const client = new Redis(url);
  client.on("error", () => {});
  const broker = await redis({ client, prefix, warn: () => {} });
  let isDead = false;
  onTestFinished(async () => {
    if (!isDead) await broker.close();
    client.disconnect();
  });
  const die = (): void => {
    isDead = true;
    client.disconnect();
  };
  return { broker, client, die };
}

/** Short, so that a death is noticed while a test waits for it. */
export const LEASE_MS = 900;

/** Servers that share a store, as nodes of one deployment do. */
export async function nodes(url: string, count: number, options: Partial<UsercastOptions> = {}): Promise<readonly Node[]> {
  const prefix = freshPrefix();
  return Promise.all(
    Array.from({ length: count }, async (): Promise<Node> => {
      const { broker, client, die } = await openNode(url, prefix);
      const logger = { warn: () => {}, error: () => {} };
      const running = await start({ broker, leaseMs: LEASE_MS, presenceGraceMs: 0, logger, ...options });
      return { ...running, client, die };
    }),
  );
}
