// A Redis of the bench's own, where it is as the broker takes it, and what is asked of it.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Cluster, Redis } from "ioredis";
import { endingWithUs, pinned } from "./children.js";

/** One address is that of a server, several with commas between them are those of a cluster. */
export function locate(urls) {
  const all = urls.split(",");
  if (all.length === 1) return { url: urls };
  const client = new Cluster(
    all.map((url) => {
      const { hostname: host, port } = new URL(url);
      return { host, port: Number(port) };
    }),
    { lazyConnect: true },
  );
  client.on("error", () => {});
  return { client };
}

/** Starts a server that flushes every second, on a free port and in a folder of its own. */
export async function startRedis() {
  const folder = mkdtempSync(join(tmpdir(), "usercast-nodes-"));
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address();
  probe.close();
  await once(probe, "close");
  const settings = ["--port", port, "--bind", "127.0.0.1", "--dir", folder, "--save", "", "--appendonly", "yes"];
  const [command, ...words] = [...pinned("server"), "redis-server", ...settings.map(String)];
  const child = spawn(command, words, { stdio: "ignore" });
  const end = endingWithUs(child, folder);
  const client = new Redis(port, "127.0.0.1", { maxRetriesPerRequest: null, retryStrategy: () => 50 });
  client.on("error", () => {});
  const ended = once(child, "exit").then(([code]) => {
    throw new Error(`redis-server ended with code ${code}. Is it installed?`);
  });
  await Promise.race([client.ping(), ended]);
  ended.catch(() => {});
  return {
    url: `redis://127.0.0.1:${port}`,
    /** Forgets everything, so that one case is no burden for the next. */
    clear: () => client.flushall(),
    /** Seconds of CPU it has taken. */
    async cpuSeconds() {
      const info = await client.info("cpu");
      const of = (name) => Number(new RegExp(`^${name}:([\\d.]+)`, "m").exec(info)?.[1]);
      return of("used_cpu_sys") + of("used_cpu_user");
    },
    /** Counts what clients ask for, by command, until the returned function is called; what scripts do is not counted. */
    async watch() {
      const monitor = await client.monitor();
      const counts = {};
      monitor.on("monitor", (_time, [name], source) => {
        // `info` is what the bench itself asks.
        if (source !== "lua" && name.toLowerCase() !== "info") counts[name.toLowerCase()] = (counts[name.toLowerCase()] ?? 0) + 1;
      });
      return () => {
        monitor.disconnect();
        return counts;
      };
    },
    async stop() {
      client.disconnect();
      await end();
    },
  };
}
