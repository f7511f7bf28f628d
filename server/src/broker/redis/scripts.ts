import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import type { Cluster, Redis } from "ioredis";

/** A connection to one server, to what Sentinels say is the master, or to a cluster. */
export type RedisClient = Redis | Cluster;

/** An answer of Redis' as it came: text is bytes, because messages may hold any. */
export type RawAnswer = Buffer | number | null | readonly RawAnswer[];

const NAMES = ["publish", "read", "position", "advance", "purge"] as const;
type ScriptName = (typeof NAMES)[number];

interface Script {
  readonly text: string;
  readonly sha: string;
}

const load = (name: ScriptName): Script => {
  const text = readFileSync(new URL(`lua/${name}.lua`, import.meta.url), "utf8");
  return { text, sha: createHash("sha1").update(text).digest("hex") };
};

const SCRIPTS = Object.fromEntries(NAMES.map((name) => [name, load(name)])) as Readonly<Record<ScriptName, Script>>;

/** Runs one of our scripts: by its digest, and whole where the server does not know it (any more). */
export async function run(
  client: RedisClient,
  name: ScriptName,
  keys: readonly string[],
  args: readonly (string | number | Buffer)[],
): Promise<RawAnswer> {
  const { sha, text } = SCRIPTS[name];
  try {
    return (await client.callBuffer("EVALSHA", sha, keys.length, ...keys, ...args)) as RawAnswer;
  } catch (error) {
    if (!(error instanceof Error) || !error.message.startsWith("NOSCRIPT")) throw error;
    return (await client.callBuffer("EVAL", text, keys.length, ...keys, ...args)) as RawAnswer;
  }
}
