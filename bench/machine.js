// Where a run took place.
import { execFileSync } from "node:child_process";
import { readFileSync, statfsSync } from "node:fs";
import { cpus, release, tmpdir, totalmem, type } from "node:os";
import { isPinned } from "./children.js";

const FILE_SYSTEMS = { 61267: "ext", 16914836: "tmpfs", 1481003842: "xfs", 2435016766: "btrfs", 2035054128: "overlay" };

/** Processors, memory, system, and what the stores' folders lie on: where that is memory, a flush costs nothing. */
export function machine() {
  return {
    cpu: cpus()[0]?.model ?? "unknown",
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    system: `${type()} ${release()}`,
    storesOn: FILE_SYSTEMS[statfsSync(tmpdir()).type] ?? "unknown",
    pinned: isPinned(),
  };
}

const PACKAGES = ["@usercast/server", "socket.io", "engine.io", "ws", "lmdb", "ioredis", "@socket.io/redis-adapter", "hono"];

/** The version of a package, which may not let its package.json be imported. */
function versionOf(name) {
  const folder = import.meta.resolve(name).split(`/${name.split("/").at(-1)}/`)[0];
  const file = new URL(`${folder}/${name.split("/").at(-1)}/package.json`);
  return JSON.parse(readFileSync(file, "utf8")).version;
}

/** Node, the packages that matter, Redis where there is one, and the commit. */
export function versions() {
  const packages = Object.fromEntries(PACKAGES.map((name) => [name, attempt(() => versionOf(name))]));
  return {
    node: process.version,
    ...packages,
    redis: attempt(() => /v=(\S+)/.exec(execFileSync("redis-server", ["--version"], { encoding: "utf8" }))?.[1]),
    commit: attempt(() => execFileSync("git", ["describe", "--always", "--dirty"], { encoding: "utf8" }).trim()),
  };
}

function attempt(find) {
  try {
    return find() ?? "unknown";
  } catch {
    return "unknown";
  }
}
