import { hash } from "node:crypto";

/** The keys of one user. They share a hash tag, so that a cluster keeps them on one node. */
export interface UserKeys {
  /** What the user shares with those whose keys are in the same slot of a cluster. */
  readonly bucket: string;
  readonly mailbox: string;
  readonly log: string;
  readonly devices: string;
  readonly generation: string;
  /** The secret from which epochs are derived. It lives where its users' mailboxes do, so that it is lost with them. */
  readonly store: string;
  /** Of one idempotency key's scope. */
  readonly key: (scope: string) => string;
  /** The channel on which nodes are told what happens to the user. */
  readonly channel: string;
}

/** Groups of users that share a slot of a cluster: few enough for calls to many users, many enough for masters to share evenly. */
const BUCKETS = 1_024;

const digestOf = (text: string): Buffer => hash("sha256", text, "buffer");
const nameOf = (digest: Buffer): string => digest.subarray(0, 16).toString("base64url");

/** Ids are hashed: they may hold braces, which would break the hash tag, and be too long to stand in every key. */
export function keysOf(prefix: string, userId: string): UserKeys {
  const digest = digestOf(userId);
  const bucket = `${prefix}{${digest.readUInt16BE(30) % BUCKETS}}:`;
  const user = `${bucket}${nameOf(digest)}:`;
  return {
    bucket,
    mailbox: `${user}m`,
    log: `${user}l`,
    devices: `${user}d`,
    generation: `${user}g`,
    store: `${bucket}store`,
    key: (scope) => `${user}k:${nameOf(digestOf(scope))}`,
    channel: `${user}c`,
  };
}

/** Where the last call of a caller and its answers are kept; `bucket` where the keys of a call must be in one slot. */
export const answersKey = (prefix: string, bucket: string | undefined, caller: string): string =>
  `${bucket ?? prefix}a:${caller}`;
