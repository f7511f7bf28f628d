import { ERRORS, type ErrorCode, isErrorCode, UsercastError } from "@usercast/protocol";

/** What the first word of an error of Redis' means to a caller; anything else is a failure of the store. */
const CODES: Readonly<Record<string, ErrorCode>> = {
  OOM: "STORE_FULL",
  READONLY: "UNAVAILABLE",
  LOADING: "UNAVAILABLE",
  MASTERDOWN: "UNAVAILABLE",
  NOREPLICAS: "UNAVAILABLE",
  CLUSTERDOWN: "UNAVAILABLE",
  TRYAGAIN: "UNAVAILABLE",
  BUSY: "UNAVAILABLE",
  MOVED: "UNAVAILABLE",
  ASK: "UNAVAILABLE",
};

const firstWord = (message: string): string => message.split(" ", 1)[0] ?? "";

/** Whether Redis itself answered with an error; otherwise the connection failed, and it is not known what became of the call. */
export const isReply = (error: unknown): error is Error => error instanceof Error && error.name === "ReplyError";

/** What a server says of what another one is the master of by now, or is about to be. */
const ELSEWHERE: ReadonlySet<string> = new Set(["READONLY", "MOVED", "ASK", "TRYAGAIN"]);

/** Whether nothing was done because another server is to do it. */
export const isElsewhere = (error: unknown): boolean => isReply(error) && ELSEWHERE.has(firstWord(error.message));

/** What a script says of a message that failed: a code of ours, or an error of Redis'. */
export function failureOf(said: string): UsercastError {
  if (isErrorCode(said)) return new UsercastError(said);
  // Redis 6 puts a dash before its own errors.
  const text = said.replace(/^-/, "");
  return new UsercastError(CODES[firstWord(text)] ?? "STORE_FAILED", `Redis: ${text}`);
}

/** What failed, as an error of ours. */
export function translated(error: unknown): UsercastError {
  if (error instanceof UsercastError) return error;
  if (!isReply(error)) return new UsercastError("UNAVAILABLE", undefined, { cause: error });
  const { code } = failureOf(error.message);
  return new UsercastError(code, `${ERRORS[code].message} Redis: ${error.message}`, { cause: error });
}
