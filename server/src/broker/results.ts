import { type ErrorCode, UsercastError } from "@usercast/protocol";
import type { PublishResult } from "../ports.ts";

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
