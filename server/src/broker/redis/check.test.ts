import { expect, it } from "vitest";
import { checkInfo } from "./check.ts";

const info = (version: string, more = ""): string =>
  `# Server\r\nredis_version:${version}\r\n# Replication\r\nrole:master\r\naof_enabled:1\r\n${more}`;

it.each(["5.0.14", "6.0.16", "2.8.0"])("a single server of version %s is too old", (version) => {
  expect(() => checkInfo(info(version), false, "aof")).toThrow(`Redis ${version} is too old`);
});

it.each(["6.2.0", "6.10.1", "7.0.15", "7.2.4", "8.0.0"])("a single server of version %s will do", (version) => {
  expect(() => checkInfo(info(version), false, "aof")).not.toThrow();
});

it("a cluster needs sharded pub/sub", () => {
  expect(() => checkInfo(info("6.2.14"), true, "aof")).toThrow("a cluster 7 or later");
  expect(() => checkInfo(info("7.0.0"), true, "aof")).not.toThrow();
});

it("a cluster is told by what Redis and Valkey both say", () => {
  expect(() => checkInfo(info("7.0.15", "cluster_enabled:1\r\n"), false, "aof")).toThrow("Cluster client");
  expect(() => checkInfo(info("7.0.15", "cluster_enabled:0\r\n"), false, "aof")).not.toThrow();
});

it("only 7.2 and later can say what they have flushed", () => {
  expect(() => checkInfo(info("7.0.15"), false, "flushed")).toThrow("7.2 or later");
  expect(() => checkInfo(info("6.2.0"), false, "flushed")).toThrow("7.2 or later");
  expect(() => checkInfo(info("7.2.0"), false, "flushed")).not.toThrow();
  expect(() => checkInfo(info("8.0.2"), true, "flushed")).not.toThrow();
});

it("Valkey says which Redis it is like", () => {
  const valkey = "# Server\r\nredis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:8.1.0\r\naof_enabled:1\r\n";
  expect(() => checkInfo(valkey, true, "aof")).not.toThrow();
});
