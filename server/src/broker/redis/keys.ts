import { createHash } from "node:crypto";

/** The keys of one user. They share a hash tag, so that a cluster keeps them on one node. */
export interface UserKeys {
  readonly mailbox: string;
  readonly log: string;
  readonly devices: string;
  readonly generation: string;
  /** Of one idempotency key's scope. */
  readonly key: (scope: string) => string;
  /** Of the answers to one call. */
  readonly answers: (call: string) => string;
  /** The channel on which nodes are told what happens to the user. */
  readonly channel: string;
}

const digest = (text: string): string => createHash("sha256").update(text).digest().subarray(0, 16).toString("base64url");

/** Ids are hashed: they may hold braces, which would break the hash tag, and be too long to stand in every key. */
export function keysOf(prefix: string, userId: string): UserKeys {
  const user = `${prefix}{${digest(userId)}}:`;
  return {
    mailbox: `${user}m`,
    log: `${user}l`,
    devices: `${user}d`,
    generation: `${user}g`,
    key: (scope) => `${user}k:${digest(scope)}`,
    answers: (call) => `${user}a:${call}`,
    channel: `${user}c`,
  };
}
