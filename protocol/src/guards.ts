import { type ErrorCode, UsercastError } from "./errors.ts";
import { LIMITS, PLAIN_DEVICE } from "./limits.ts";
import type { Position } from "./wire.ts";

// Guards are written by hand because they run for every message: a schema library takes some forty times as long.

const FORBIDDEN_IN_USER_ID = /[\p{Cc}\p{Cs}]/u; // with the u flag, \p{Cs} matches lone surrogates only
const DEVICE_ID = /^[A-Za-z0-9_-]{1,64}$/;
const EPOCH = /^[A-Za-z0-9_-]{1,64}$/;
const KEY = /^[\x20-\x7e]{1,255}$/;
const DURATION = /^(\d{1,12}(?:\.\d{1,3})?)\s*(ms|s|m|h|d)$/;
const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Socket.IO refuses these names on its own, on one side or the other. */
const RESERVED_BY_SOCKET_IO: ReadonlySet<string> = new Set([
  "connect",
  "connect_error",
  "disconnect",
  "disconnecting",
  "newListener",
  "removeListener",
]);

/** What every event of ours begins with. */
export const RESERVED_PREFIX = "usercast:";

/** The length of `text` in bytes of UTF-8; a lone surrogate counts as the three bytes of its replacement. */
export function utf8Length(text: string): number {
  let bytes = text.length;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x80) continue;
    bytes += unit < 0x800 ? 1 : 2;
    // A surrogate pair is two units and four bytes.
    if (unit >= 0xd800 && unit < 0xdc00 && (text.charCodeAt(i + 1) & 0xfc00) === 0xdc00) i += 1;
  }
  return bytes;
}

/** Whether `text` takes at most `limit` bytes of UTF-8, without counting where its length already tells. */
const fits = (text: string, limit: number): boolean =>
  text.length * 3 <= limit || (text.length <= limit && utf8Length(text) <= limit);

const fail = (code: ErrorCode, detail?: string): never => {
  throw new UsercastError(code, detail);
};

/** Whether `value` is a plain object of fields, and not an array or null. */
export const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/**
 * A user id as text; a safe integer is written as one.
 * @throws UsercastError `INVALID_USER_ID`
 */
export function parseUserId(value: unknown): string {
  const id = typeof value === "number" && Number.isSafeInteger(value) ? String(value) : value;
  if (typeof id !== "string" || id === "" || !fits(id, LIMITS.userIdBytes) || FORBIDDEN_IN_USER_ID.test(id)) {
    return fail("INVALID_USER_ID");
  }
  return id;
}

/**
 * The name of an event an application may send.
 * @throws UsercastError `INVALID_EVENT` or `RESERVED_EVENT`
 */
export function parseEvent(value: unknown): string {
  if (typeof value !== "string" || value === "" || !fits(value, LIMITS.eventBytes)) return fail("INVALID_EVENT");
  if (value.startsWith(RESERVED_PREFIX) || RESERVED_BY_SOCKET_IO.has(value)) {
    return fail("RESERVED_EVENT", `The event name ${JSON.stringify(value)} is reserved.`);
  }
  return value;
}

/**
 * A device or session id.
 * @throws UsercastError `INVALID_DEVICE`
 */
export function parseDeviceId(value: unknown): string {
  if (typeof value !== "string" || !DEVICE_ID.test(value) || value === PLAIN_DEVICE) return fail("INVALID_DEVICE");
  return value;
}

/** Whether `value` can be an offset or a time: a whole number from 0 up. */
export const isOffset = (value: unknown): value is number =>
  typeof value === "number" && Number.isSafeInteger(value) && value >= 0;

/**
 * A position as a client brings it; nothing in it is believed, only its form.
 * @throws UsercastError `INVALID_POSITION`
 */
export function parsePosition(value: unknown): Position {
  if (!isRecord(value)) return fail("INVALID_POSITION");
  const { epoch, offset, at } = value;
  if (typeof epoch !== "string" || !EPOCH.test(epoch) || !isOffset(offset) || !isOffset(at)) return fail("INVALID_POSITION");
  return { epoch, offset, at };
}

/**
 * An idempotency key.
 * @throws UsercastError `INVALID_IDEMPOTENCY_KEY`
 */
export function parseIdempotencyKey(value: unknown): string {
  if (typeof value !== "string" || !KEY.test(value)) return fail("INVALID_IDEMPOTENCY_KEY");
  return value;
}

/** Milliseconds, from a number of them or text such as `"90s"`, `"1h"`, `"7d"`; nothing where it is neither, or out of range. */
function durationOf(value: unknown, maxMs: number): number | undefined {
  let ms: unknown = value;
  if (typeof value === "string") {
    const [, amount, unit] = DURATION.exec(value) ?? [];
    ms = amount === undefined || unit === undefined ? undefined : Math.round(Number(amount) * (UNIT_MS[unit] ?? 0));
  }
  return typeof ms === "number" && Number.isSafeInteger(ms) && ms >= 1 && ms <= maxMs ? ms : undefined;
}

/**
 * A time to live in milliseconds, from a number of milliseconds or text such as `"90s"`, `"1h"`, `"7d"`.
 * @throws UsercastError `INVALID_TTL`
 */
export const parseTtl = (value: unknown, maxMs: number): number => durationOf(value, maxMs) ?? fail("INVALID_TTL");

/**
 * A timeout in milliseconds, from a number of milliseconds or text such as `"5s"`, at most a day.
 * @throws UsercastError `INVALID_TIMEOUT`
 */
export const parseTimeout = (value: unknown): number => durationOf(value, LIMITS.timeoutMs) ?? fail("INVALID_TIMEOUT");
