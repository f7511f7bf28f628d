import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import type { Cluster, Redis } from "ioredis";

/** A connection to one server, to what Sentinels say is the master, or to a cluster. */
export type RedisClient = Redis | Cluster;

/** An answer of Redis' as it came: text is bytes, because messages may hold any. */
export type RawAnswer = Buffer | number | null | readonly RawAnswer[];

/** What a script is called with. */
export type Argument = string | number | Buffer;

/** The scripts, each with the files it is made of. */
const PARTS = {
  publish: ["shared", "mailbox", "room", "key", "publish"],
  tell: ["tell"],
  read: ["shared", "read"],
  position: ["shared", "state", "position"],
  states: ["shared", "state", "states"],
  heads: ["shared", "heads"],
  advance: ["shared", "advance"],
  purge: ["purge"],
  "presence-attach": ["shared", "presence-attach"],
  "presence-detach": ["shared", "presence-detach"],
  "presence-look": ["shared", "presence-look"],
  "presence-sweep": ["shared", "presence-sweep"],
  "presence-find": ["shared", "presence-find"],
  "presence-count": ["shared", "presence-count"],
} as const;

/** The scripts there are. */
export type ScriptName = keyof typeof PARTS;

interface Script {
  readonly text: string;
  readonly sha: string;
}

const load = (parts: readonly string[]): Script => {
  const text = parts.map((part) => readFileSync(new URL(`lua/${part}.lua`, import.meta.url), "utf8")).join("\n");
  return { text, sha: createHash("sha1").update(text).digest("hex") };
};

const SCRIPTS = Object.fromEntries(Object.entries(PARTS).map(([name, parts]) => [name, load(parts)])) as Readonly<
  Record<ScriptName, Script>
>;

/** Runs one of our scripts: by its digest, and whole where the server does not know it (any more). */
export async function evaluate(
  client: RedisClient,
  name: ScriptName,
  keys: readonly string[],
  args: readonly Argument[],
): Promise<RawAnswer> {
  const { sha, text } = SCRIPTS[name];
  try {
    return (await client.callBuffer("EVALSHA", sha, keys.length, ...keys, ...args)) as RawAnswer;
  } catch (error) {
    if (!(error instanceof Error) || !error.message.startsWith("NOSCRIPT")) throw error;
    return (await client.callBuffer("EVAL", text, keys.length, ...keys, ...args)) as RawAnswer;
  }
}

/** One of our scripts as a command of a pipeline. */
export const invocation = (name: ScriptName, keys: readonly string[], args: readonly Argument[]): Argument[] => [
  "evalsha",
  SCRIPTS[name].sha,
  keys.length,
  ...keys,
  ...args,
];
