import { resolve } from "node:path";
import type { RedisOptions } from "@usercast/server/redis";
import type { SettingName, Settings } from "./settings.ts";
import { defined, readText, type Sources } from "./sources.ts";

/** A host and a port. */
export interface Place {
  readonly host: string;
  readonly port: number;
}

/** Where Redis is: one server, one that Sentinels know, or a cluster. */
export type RedisPlace =
  | { readonly kind: "server"; readonly url: string }
  | { readonly kind: "sentinels"; readonly sentinels: readonly Place[]; readonly name: string; readonly password?: string }
  | { readonly kind: "cluster"; readonly nodes: readonly Place[] };

/** A Redis that several servers share. */
export interface RedisStoreConfig {
  readonly kind: "redis";
  readonly place: RedisPlace;
  readonly tls: boolean;
  readonly username?: string;
  readonly password?: string;
  /** In the words of the library's `redis()`, as far as they were given. */
  readonly options: Pick<RedisOptions, "prefix" | "durability" | "replicas">;
}

/** Where the mailboxes are: in a folder of this server's own, or in Redis. */
export type StoreConfig = { readonly kind: "folder"; readonly dataDir: string } | RedisStoreConfig;

/** Different ways to say where Redis is. */
const PLACES = ["redisUrl", "redisUrlFile", "redisSentinels", "redisCluster"] as const satisfies readonly SettingName[];
/** What means nothing without one of those. */
const DETAILS = [
  "redisSentinelName",
  "redisSentinelPassword",
  "redisTls",
  "redisUsername",
  "redisPassword",
  "redisPasswordFile",
  "redisPrefix",
  "redisDurability",
  "redisReplicas",
] as const satisfies readonly SettingName[];
/** What bounds a folder; Redis is bounded by its own `maxmemory`. */
const FOLDER_ONLY = ["maxMailboxes", "maxTotalBytes", "maxIdempotencyKeys"] as const satisfies readonly SettingName[];

const REDIS_URL = /^rediss?:\/\/[^\s/]/;
const SENTINEL_DETAILS: readonly string[] = ["redisSentinelName", "redisSentinelPassword"];

/** Which store is meant; `undefined`, and problems more, where that is not clear. */
export function storeOf(settings: Settings, { flags }: Sources, problems: string[]): StoreConfig | undefined {
  const given = (names: readonly SettingName[]): readonly SettingName[] => names.filter((name) => settings[name] !== undefined);
  const [place, another] = given(PLACES);
  const before = problems.length;
  if (place === undefined) {
    for (const name of given(DETAILS)) {
      if (settings[name] !== false) problems.push(`${name} says nothing without redisUrl, redisSentinels or redisCluster`);
    }
    return problems.length > before ? undefined : { kind: "folder", dataDir: resolve(settings.data ?? "data") };
  }
  if (another !== undefined) problems.push(`${place} and ${another} are different ways to say where Redis is: set one of them`);
  if (settings.data !== undefined) problems.push(`data and ${place} are different places for the mailboxes: set one of them`);
  for (const name of given(FOLDER_ONLY)) problems.push(`${name} does not bound Redis: its own maxmemory does`);
  if (place !== "redisSentinels") {
    for (const name of given(DETAILS)) if (SENTINEL_DETAILS.includes(name)) problems.push(`${name} needs redisSentinels`);
  }
  const url = settings.redisUrlFile ? readText(settings.redisUrlFile, "redisUrlFile", problems) : settings.redisUrl;
  if (url !== undefined) checkUrl(url, settings, "redisUrl" in flags, problems);
  const { redisPasswordFile: file } = settings;
  if (file !== undefined && settings.redisPassword !== undefined) {
    problems.push("redisPassword and redisPasswordFile are the same thing: set one of them");
  }
  const password = file === undefined ? settings.redisPassword : readText(file, "redisPasswordFile", problems);
  if (problems.length > before) return undefined;
  return {
    kind: "redis",
    place: placeOf(settings, url ?? ""),
    tls: settings.redisTls ?? false,
    ...defined({ username: settings.redisUsername, password }),
    options: defined({
      prefix: settings.redisPrefix,
      durability: settings.redisDurability,
      replicas: settings.redisReplicas,
    }),
  };
}

/** An address is never quoted: there may be a password in it. */
function checkUrl(url: string, settings: Settings, isFlag: boolean, problems: string[]): void {
  if (!REDIS_URL.test(url) || !URL.canParse(url)) {
    problems.push('redisUrlFile must hold an address such as "redis://localhost:6379"');
    return;
  }
  const { username, password } = new URL(url);
  if (password !== "" && isFlag) {
    problems.push(
      "--redis-url: command lines are visible to others; give the password as USERCAST_REDIS_PASSWORD, or the address as USERCAST_REDIS_URL or in a file",
    );
  }
  const isTwice = settings.redisPassword !== undefined || settings.redisPasswordFile !== undefined;
  if ((password !== "" && isTwice) || (username !== "" && settings.redisUsername !== undefined)) {
    problems.push("the user of Redis and the password belong into the address or into settings of their own, not into both");
  }
  if (settings.redisTls) problems.push("redisTls is for Sentinels and clusters: in an address, rediss:// says the same");
}

function placeOf({ redisSentinels, redisSentinelName, redisSentinelPassword, redisCluster }: Settings, url: string): RedisPlace {
  if (redisCluster !== undefined) return { kind: "cluster", nodes: redisCluster.map(parsePlace) };
  if (redisSentinels === undefined) return { kind: "server", url };
  const name = redisSentinelName ?? "mymaster";
  const sentinels = redisSentinels.map(parsePlace);
  return { kind: "sentinels", sentinels, name, ...defined({ password: redisSentinelPassword }) };
}

function parsePlace(text: string): Place {
  const colon = text.lastIndexOf(":");
  return { host: text.slice(0, colon).replace(/^\[(.*)\]$/, "$1"), port: Number(text.slice(colon + 1)) };
}
