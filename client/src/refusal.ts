import { type ErrorCode, isErrorCode, isRecord, UsercastError } from "@usercast/protocol";

/** What an answer refuses a request with, if it does; a code of a newer server's becomes `otherwise`. */
export function errorIn(answer: unknown, otherwise: ErrorCode = "INTERNAL"): UsercastError | undefined {
  if (!isRecord(answer) || answer["ok"] !== false) return undefined;
  const { code, message } = isRecord(answer["error"]) ? answer["error"] : {};
  return new UsercastError(isErrorCode(code) ? code : otherwise, String(message));
}
