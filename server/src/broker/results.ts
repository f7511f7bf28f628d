import { type ErrorCode, UsercastError } from "@usercast/protocol";
import type { Draft, Entry, Mutable, PublishResult } from "../ports.ts";

/** The result of a draft that was refused. */
export const failed = (code: ErrorCode, cause?: unknown): PublishResult & { readonly state: "failed" } => ({
  state: "failed",
  error: new UsercastError(code, undefined, { cause }),
});

/**
 * What tells the keys of one mailbox apart: the sender and what the sender wrote. No user id is empty or holds a control
 * character, so nobody can write into another sender's scope, or into the back end's.
 */
export const keyScope = (from: string | undefined, key: string): string => `${from ?? ""}\0${key}`;

/** The entry that a draft becomes. It is assigned to and not spread: this is done for every message. */
export function entryOf(draft: Draft, offset: number, at: number, { retentionMs }: { readonly retentionMs: number }): Entry {
  const { text, bytes, attachments, from, key, devices } = draft;
  const expiresAt = at + Math.min(draft.ttlMs, retentionMs);
  const entry: Mutable<Entry> = { offset, at, expiresAt, text, bytes };
  if (attachments !== undefined) entry.attachments = attachments;
  if (from !== undefined) entry.from = from;
  if (key !== undefined) entry.key = key.key;
  if (devices !== undefined) entry.devices = devices;
  return entry;
}
