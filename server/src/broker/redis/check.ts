import { UsercastError } from "@usercast/protocol";
import { Cluster } from "ioredis";
import { isReply, translated } from "./errors.ts";
import type { Durability } from "./options.ts";
import { evaluate, type RedisClient } from "./scripts.ts";

/** What a server must be. */
export interface Demands {
  readonly prefix: string;
  readonly durability: Durability;
}

/** How keys are laid out; another one must not be read as this. */
const FORMAT = "1";

/**
 * Makes sure that the server, or every master of the cluster, keeps what is accepted.
 * @throws UsercastError `INVALID_OPTIONS` with what is to be changed, `STORE_FORMAT`, or `UNAVAILABLE` for a replica or no answer
 */
export async function checkServer(client: RedisClient, { prefix, durability }: Demands): Promise<void> {
  const isCluster = client instanceof Cluster;
  for (const node of isCluster ? client.nodes("master") : [client]) {
    checkInfo(await understood(node.info()), isCluster, durability);
  }
  await checkPrefix(client, prefix);
}

/** The lines of INFO by their names. */
const factsOf = (info: string): ReadonlyMap<string, string> =>
  new Map([...info.matchAll(/^([\w-]+):(.*?)\r?$/gm)].map(([, name = "", value = ""]) => [name, value]));

/**
 * Whether what a server says of itself in INFO will do.
 * @throws UsercastError as `checkServer`
 */
export function checkInfo(text: string, isCluster: boolean, durability: Durability): void {
  const info = factsOf(text);
  const version = info.get("redis_version") ?? "0";
  const [major = 0, minor = 0] = version.split(".").map(Number);
  const isBefore = (least: number, leastMinor: number): boolean => major < least || (major === least && minor < leastMinor);
  if (isCluster ? isBefore(7, 0) : isBefore(6, 2))
    throw invalid(`Redis ${version} is too old: a single server must be 6.2 or later, a cluster 7 or later.`);
  if (durability === "flushed" && isBefore(7, 2)) {
    throw invalid(`Redis ${version} cannot say what it has flushed: durability "flushed" needs 7.2 or later.`);
  }
  // The mode itself is called otherwise by Valkey.
  if (!isCluster && info.get("cluster_enabled") === "1") {
    throw invalid("The server is part of a cluster; give redis() a Cluster client.");
  }
  if (info.get("role") === "slave") {
    throw new UsercastError("UNAVAILABLE", "The server is a read-only replica; connect to its master, or by Sentinels.");
  }
  const policy = info.get("maxmemory_policy") ?? "noeviction";
  if (policy !== "noeviction") {
    throw invalid(`maxmemory-policy is ${policy}, which drops accepted messages without a word; set it to noeviction.`);
  }
  if (durability !== "relaxed" && info.get("aof_enabled") !== "1") {
    throw invalid(
      'The server has no append-only file, so what was accepted is lost when it stops; set appendonly to yes, or say durability: "relaxed".',
    );
  }
}

/** Whether the prefix is ours, and whether we may do what we must. */
async function checkPrefix(client: RedisClient, prefix: string): Promise<void> {
  const key = `${prefix}format`;
  try {
    await client.set(key, FORMAT, "NX");
  } catch (error) {
    // Where memory has run out, readers go on.
    if (!isReply(error) || !error.message.includes("OOM")) throw denied(error);
  }
  try {
    const format = await client.get(key);
    if (format !== null && format !== FORMAT) {
      throw new UsercastError("STORE_FORMAT", `What is under "${prefix}" was written in a format this version does not know.`);
    }
    await evaluate(client, "heads", [key], []);
    // A script that may not tell of what it has written fails when it is too late.
    await (client instanceof Cluster ? client.spublish(key, "") : client.publish(key, ""));
  } catch (error) {
    if (isReply(error) && error.message.startsWith("WRONGTYPE")) {
      throw invalid(`The key "${key}" is not ours: another application uses the prefix "${prefix}".`);
    }
    throw denied(error);
  }
}

const understood = <T>(answer: Promise<T>): Promise<T> =>
  answer.catch((error: unknown) => {
    throw denied(error);
  });

const denied = (error: unknown): UsercastError =>
  isReply(error) && /^(?:NOPERM|NOAUTH)/.test(error.message)
    ? invalid(`The user of Redis may not do what the broker must: ${error.message}`)
    : translated(error);

const invalid = (message: string): UsercastError => new UsercastError("INVALID_OPTIONS", message);
