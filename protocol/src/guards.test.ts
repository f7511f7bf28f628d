import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ERRORS, type ErrorCode, UsercastError } from "./errors.ts";
import {
  isOffset,
  parseDeviceId,
  parseEvent,
  parseIdempotencyKey,
  parsePosition,
  parseTtl,
  parseUserId,
  utf8Length,
} from "./guards.ts";

const refused = (code: ErrorCode): object => expect.objectContaining({ code });

describe("user ids", () => {
  test("are kept as they are, whatever script they are written in", () => {
    for (const id of [
      "user123",
      "__proto__",
      "名前",
      "e\u0301",
      "👩‍👩‍👧",
      " ",
      "a".repeat(512),
      "é".repeat(256),
      "😀".repeat(128),
    ]) {
      expect(parseUserId(id)).toBe(id);
    }
    expect(parseUserId(42)).toBe("42");
    expect(parseUserId(-1)).toBe("-1");
  });

  test("are refused when empty, too long, of another type or not well-formed", () => {
    const bad = ["", "a".repeat(513), "é".repeat(257), "😀".repeat(129), "a\nb", "\u007f", "\u0085", "\ud800", "a\udc00b"];
    for (const id of [...bad, 1.5, Number.NaN, 2 ** 53, null, undefined, {}, [], true, 1n, Symbol("x")]) {
      expect(() => parseUserId(id)).toThrow(refused("INVALID_USER_ID"));
    }
  });

  test("are accepted exactly when their bytes are few enough and nothing in them is forbidden", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 600 }), (id) => {
        const bytes = new TextEncoder().encode(id).length;
        const accepted = bytes >= 1 && bytes <= 512 && !/\p{Cc}/u.test(id);
        let got = true;
        try {
          parseUserId(id);
        } catch {
          got = false;
        }
        expect(got).toBe(accepted);
      }),
    );
  });
});

test("the length in UTF-8 is what an encoder writes", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), fc.constantFrom("", "\ud800", "\udfff"), (text, lone) => {
      expect(utf8Length(text + lone)).toBe(new TextEncoder().encode(text + lone).length);
    }),
  );
});

test("event names are refused when they are none, or somebody else's", () => {
  expect(parseEvent("order:shipped")).toBe("order:shipped");
  for (const event of ["", "x".repeat(257), 7, null, undefined, {}])
    expect(() => parseEvent(event)).toThrow(refused("INVALID_EVENT"));
  for (const event of [
    "connect",
    "connect_error",
    "disconnect",
    "disconnecting",
    "newListener",
    "removeListener",
    "usercast:x",
  ]) {
    expect(() => parseEvent(event)).toThrow(refused("RESERVED_EVENT"));
  }
});

test("device ids are short names, and none is plain", () => {
  expect(parseDeviceId("phone_1-A")).toBe("phone_1-A");
  for (const id of ["plain", "", "a b", "ä", "x".repeat(65), 1, null])
    expect(() => parseDeviceId(id)).toThrow(refused("INVALID_DEVICE"));
});

test("positions have an epoch, an offset and a time, and nothing else is kept", () => {
  expect(parsePosition({ epoch: "e", offset: 0, at: 1, more: 2 })).toEqual({ epoch: "e", offset: 0, at: 1 });
  const good = { epoch: "e", offset: 1, at: 1 };
  for (const bad of [
    null,
    1,
    [],
    { ...good, epoch: "" },
    { ...good, offset: -1 },
    { ...good, offset: 0.5 },
    { ...good, at: "1" },
    { epoch: "e" },
  ]) {
    expect(() => parsePosition(bad)).toThrow(refused("INVALID_POSITION"));
  }
  expect([0, 1, -1, 0.5, "1", Number.POSITIVE_INFINITY].map(isOffset)).toEqual([true, true, false, false, false, false]);
});

test("idempotency keys are printable and at most 255 bytes", () => {
  expect(parseIdempotencyKey("o-42 ~")).toBe("o-42 ~");
  for (const key of ["", "x".repeat(256), "a\nb", "ä", 1, null, "x".repeat(1_000_000)]) {
    expect(() => parseIdempotencyKey(key)).toThrow(refused("INVALID_IDEMPOTENCY_KEY"));
  }
});

test("times to live are milliseconds or text with a unit", () => {
  const max = 7 * 86_400_000;
  expect(["250ms", "90s", "1.5m", "1h", "7d", 1, max].map((ttl) => parseTtl(ttl, max))).toEqual([
    250,
    90_000,
    90_000,
    3_600_000,
    max,
    1,
    max,
  ]);
  for (const ttl of [0, -1, 0.5, max + 1, "8d", "1", "h", "", "1 year", "-1h", null, {}, Number.NaN]) {
    expect(() => parseTtl(ttl, max)).toThrow(refused("INVALID_TTL"));
  }
});

test("an error says its code, whether to retry, and nothing of its cause on the wire", () => {
  const error = UsercastError.from(new Error("secret path"), "STORE_FAILED");
  expect(error).toMatchObject({ code: "STORE_FAILED", status: 503, retryable: true });
  expect(JSON.parse(JSON.stringify(error))).toEqual({ code: "STORE_FAILED", message: ERRORS.STORE_FAILED.message });
  expect(UsercastError.from(error)).toBe(error);
});
