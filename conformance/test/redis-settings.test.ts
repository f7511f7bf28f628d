import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { send } from "../support/http.ts";
import { owned, shared } from "../support/owned.ts";
import { RedisServer } from "../support/redis.ts";
import { steadyPort, TestServer } from "../support/server.ts";
import { until } from "../support/wait.ts";

// The ways to say which Redis to use, and what is said of one that will not do.

const redis = shared(() => RedisServer.start());
const locked = shared(() => RedisServer.start("--requirepass", "hush"));
const cli = (port: number, ...args: readonly string[]): Promise<{ readonly stdout: string }> =>
  promisify(execFile)("redis-cli", ["-p", String(port), ...args]);

/** What a server that does not start says, but for lines of its log. */
async function refusal(options: Parameters<typeof TestServer.start>[0]): Promise<string> {
  const started = TestServer.start(options);
  const error = await started.then(
    (server) => owned(server) && new Error("It has started."),
    (reason: Error) => reason,
  );
  const [first = "", ...lines] = error.message.trim().split("\n");
  expect(first).toContain("ended at its start with code 1");
  return lines.filter((line) => !line.startsWith("{")).join("\n");
}

test("a password comes with the environment, in the address or beside it, or from a file", async () => {
  const folder = await mkdtemp(join(tmpdir(), "usercast-test-"));
  owned({ close: () => rm(folder, { recursive: true }) });
  const [url, file, passwordFile] = [`redis://:hush@127.0.0.1:${locked().port}`, join(folder, "url"), join(folder, "password")];
  await writeFile(file, `${url}\n`);
  await writeFile(passwordFile, "hush\n");
  for (const [offset, options] of [
    { env: { USERCAST_REDIS_URL: url } },
    { env: { USERCAST_REDIS_URL: locked().url, USERCAST_REDIS_PASSWORD: "hush" } },
    { args: ["--redis-url-file", file] },
    { args: ["--redis-url", locked().url, "--redis-password-file", passwordFile] },
  ].entries()) {
    const server = owned(await TestServer.start({ storeIsElsewhere: true, ...options }));
    expect(await send(server, "ana", "hi")).toMatchObject({ state: "queued", offset: offset + 1 });
  }
});

test("a Redis that will not do is one line, without a password, and exit code 1", async () => {
  const open = { redisUrl: redis().url };
  expect(await refusal({ redisUrl: `redis://127.0.0.1:${await steadyPort()}` })).toMatch(
    /^usercast: Redis cannot be reached: .*$/,
  );
  expect(await refusal({ redisUrl: locked().url })).toMatch(/^usercast: Redis does not let us in; .*$/);
  const wrong = await refusal({ redisUrl: locked().url, env: { USERCAST_REDIS_PASSWORD: "guess" } });
  expect(wrong).toMatch(/^usercast: Redis does not let us in; .*$/);
  expect(wrong).not.toContain("guess");
  expect(await refusal({ ...open, args: ["--data", "box"] })).toMatch(/^usercast: data and redisUrl are different .*$/);
  expect(await refusal({ redisUrl: "redis://:hush@localhost" })).toMatch(/^usercast: --redis-url: command lines are .*$/);
  await cli(redis().port, "CONFIG", "SET", "maxmemory-policy", "allkeys-lru");
  expect(await refusal(open)).toMatch(/^usercast: maxmemory-policy is allkeys-lru, .*$/);
  await cli(redis().port, "CONFIG", "SET", "maxmemory-policy", "noeviction", "appendonly", "no");
  expect(await refusal(open)).toMatch(/^usercast: The server has no append-only file, .*$/);
  owned(await TestServer.start({ ...open, args: ["--redis-durability", "relaxed"] }));
  await cli(redis().port, "CONFIG", "SET", "appendonly", "yes");
});

test("of several workers one says what is wrong, once", async () => {
  const env = { USERCAST_JWT_SECRET: "0123456789abcdef0123456789abcdef", USERCAST_API_KEYS: "shop:0123456789abcdef" };
  const serve = { command: "serve", env } as const;
  expect(await refusal({ ...serve, redisUrl: locked().url, args: ["--workers", "3"] })).toMatch(
    /^usercast: Redis does not let us in; .*$/,
  );
  expect(await refusal({ ...serve, args: ["--workers", "2"] })).toMatch(/^usercast: several workers need a store .*$/);
});

test("a Redis that Sentinels know", async () => {
  const folder = await mkdtemp(join(tmpdir(), "usercast-test-"));
  owned({ close: () => rm(folder, { recursive: true }) });
  const file = join(folder, "sentinel.conf");
  await writeFile(file, `sentinel monitor main 127.0.0.1 ${redis().port} 1\nsentinel resolve-hostnames no\n`);
  const sentinel = owned(await RedisServer.startSentinel(file));
  await until("it knows the master", async () =>
    (await cli(sentinel.port, "SENTINEL", "MASTER", "main")).stdout.includes("main"),
  );
  const args = ["--redis-sentinels", `127.0.0.1:${sentinel.port}`, "--redis-sentinel-name", "main"];
  const server = owned(await TestServer.start({ storeIsElsewhere: true, args }));
  expect(await send(server, "by sentinel", "hi")).toMatchObject({ state: "queued", offset: 1 });
  const plain = owned(await TestServer.start({ redisUrl: redis().url }));
  expect(await send(plain, "by sentinel", "hi")).toMatchObject({ offset: 2 });
});

test("a cluster", async () => {
  const node = owned(await RedisServer.start("--cluster-enabled", "yes", "--cluster-announce-ip", "127.0.0.1"));
  await cli(node.port, "CLUSTER", "ADDSLOTSRANGE", "0", "16383");
  await until("it is whole", async () => (await cli(node.port, "CLUSTER", "INFO")).stdout.includes("cluster_state:ok"));
  const args = ["--redis-cluster", `127.0.0.1:${node.port}`, "--redis-prefix", "mine:"];
  const server = owned(await TestServer.start({ storeIsElsewhere: true, args }));
  expect(await send(server, "ana", "hi")).toMatchObject({ state: "queued", offset: 1 });
  expect((await fetch(`${server.url}/readyz`)).status).toBe(200);
  const { stdout } = await cli(node.port, "KEYS", "*");
  const keys = stdout.trim().split("\n");
  expect(keys.filter((key) => !key.startsWith("mine:"))).toEqual([]);
  expect(await refusal({ redisUrl: node.url })).toMatch(/^usercast: The server is part of a cluster; .*$/);
});
