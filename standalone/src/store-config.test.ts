import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { developmentConfig } from "./config.ts";
import type { StoreConfig } from "./store-config.ts";

const folder = mkdtempSync(join(tmpdir(), "usercast-store-"));
afterAll(() => rmSync(folder, { recursive: true }));

let files = 0;
function file(text: string): string {
  const path = join(folder, String(files++));
  writeFileSync(path, text);
  return path;
}

const redisUrl = "redis://redis:6379";
const storeOf = (flags: Record<string, unknown> = {}, env: Record<string, string> = {}): StoreConfig =>
  developmentConfig({ flags, env }).store;

describe("where the mailboxes are", () => {
  test("one Redis, by its address", () => {
    expect(storeOf({ redisUrl })).toEqual({
      kind: "redis",
      place: { kind: "server", url: redisUrl },
      tls: false,
      options: {},
    });
    expect(storeOf({ redisUrl, redisPrefix: "a:", redisDurability: "relaxed", redisReplicas: "1" })).toMatchObject({
      options: { prefix: "a:", durability: "relaxed", replicas: 1 },
    });
  });

  test("its password comes from the environment or from files", () => {
    const withPassword = "rediss://me:hush@redis:6379/2";
    expect(storeOf({}, { USERCAST_REDIS_URL: withPassword })).toMatchObject({ place: { url: withPassword } });
    expect(storeOf({ redisUrlFile: file(`${withPassword}\n`) })).toMatchObject({ place: { url: withPassword } });
    expect(storeOf({ redisUrl }, { USERCAST_REDIS_PASSWORD: "hush" })).toMatchObject({ password: "hush" });
    const given = { redisUrl, redisUsername: "me", redisPasswordFile: file("hush\n") };
    expect(storeOf(given)).toMatchObject({ username: "me", password: "hush" });
  });

  test("one Redis that Sentinels know", () => {
    const sentinels = [
      { host: "a", port: 26_379 },
      { host: "::1", port: 26_380 },
    ];
    expect(storeOf({ redisSentinels: "a:26379,[::1]:26380" })).toMatchObject({
      place: { kind: "sentinels", sentinels, name: "mymaster" },
    });
    const more = storeOf({ redisSentinels: "a:26379", redisSentinelName: "b" }, { USERCAST_REDIS_SENTINEL_PASSWORD: "hush" });
    expect(more).toMatchObject({ place: { name: "b", password: "hush" } });
  });

  test("a cluster", () => {
    expect(storeOf({ redisCluster: "a:7000, b:7001", redisTls: true })).toMatchObject({
      place: {
        kind: "cluster",
        nodes: [
          { host: "a", port: 7_000 },
          { host: "b", port: 7_001 },
        ],
      },
      tls: true,
    });
  });

  test.each([
    ["a folder beside Redis", { redisUrl, data: "box" }, {}, "data and redisUrl are different places"],
    ["two ways to Redis", { redisUrl, redisCluster: "a:7000" }, {}, "redisUrl and redisCluster"],
    ["an address that is none", { redisUrl: "localhost:6379" }, {}, '--redis-url: must be an address such as "redis://'],
    ["a file without an address", { redisUrlFile: file("redis:/x") }, {}, "redisUrlFile must hold an address"],
    ["a file that is not there", { redisUrlFile: "/nowhere/url" }, {}, "cannot read /nowhere/url (ENOENT)"],
    ["a password on the command line", { redisUrl: "redis://:hush@a" }, {}, "--redis-url: command lines are visible"],
    ["two passwords", {}, { USERCAST_REDIS_URL: "redis://:hush@a", USERCAST_REDIS_PASSWORD: "hush" }, "not into both"],
    ["two users", { redisUsername: "b" }, { USERCAST_REDIS_URL: "redis://a:hush@a" }, "not into both"],
    ["a password and a file", { redisUrl, redisPasswordFile: file("x") }, { USERCAST_REDIS_PASSWORD: "y" }, "same thing"],
    ["TLS twice", { redisUrl, redisTls: true }, {}, "rediss:// says the same"],
    ["a Sentinel without a port", { redisSentinels: "a" }, {}, "--redis-sentinels: must be a host and a port"],
    ["an empty cluster", { redisCluster: " , " }, {}, "--redis-cluster: "],
    ["a Sentinel's name for a cluster", { redisCluster: "a:1", redisSentinelName: "b" }, {}, "redisSentinelName needs"],
    ["details of no Redis", { redisReplicas: "1" }, {}, "redisReplicas says nothing without redisUrl"],
    ["a prefix with braces", { redisUrl, redisPrefix: "{a}" }, {}, "--redis-prefix: must be text without braces"],
    ["a durability nobody knows", { redisUrl, redisDurability: "strict" }, {}, "--redis-durability: "],
    ["bounds of a folder", { redisUrl, maxTotalBytes: "2048" }, {}, "maxTotalBytes does not bound Redis"],
  ])("refuses %s", (_, flags, variables, message) => {
    expect(() => storeOf(flags, variables)).toThrow(
      expect.objectContaining({
        code: "INVALID_OPTIONS",
        message: expect.stringContaining(message),
      }),
    );
  });
});
