import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, it } from "vitest";
import { brokerContract } from "../testing/contract.ts";
import { redis } from "./redis.ts";

let url = "";
let stop = async (): Promise<void> => {};
let stores = 0;

beforeAll(async () => {
  const folder = mkdtempSync(join(tmpdir(), "usercast-redis-"));
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address() as { port: number };
  probe.close();
  const child = spawn("redis-server", ["--port", String(port), "--dir", folder, "--appendonly", "yes", "--save", ""], {
    stdio: "ignore",
  });
  url = `redis://127.0.0.1:${port}`;
  const ping = new Redis(url, { retryStrategy: () => 20, maxRetriesPerRequest: null });
  await ping.ping();
  ping.disconnect();
  stop = async () => {
    child.kill("SIGKILL");
    await once(child, "exit");
    rmSync(folder, { recursive: true, force: true });
  };
});
afterAll(() => stop());

brokerContract("redis", {
  describe,
  it,
  open: async (limits) => {
    stores += 1;
    return redis({ url, prefix: `test-${stores}:`, ...limits });
  },
  elapse: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
  gaps: Object.fromEntries(
    [
      "retries what was refused afresh",
      "refuses one mailbox too many, and goes on with those it has",
      "refuses messages over the bytes of the store, and drops none of another mailbox for them",
      "takes the place of what its own mailbox drops in a full store",
      "counts exactly what it holds, after drops and expiry",
      "has room again when messages have expired",
      "refuses new keys at their bound and forgets none early",
    ].map((name) => [name, "what the whole store holds is bounded by the server's own maxmemory, with noeviction"]),
  ),
});
