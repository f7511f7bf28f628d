import { UsercastError } from "@usercast/protocol";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { parseAs } from "./parse.ts";
import {
  answerTimeout,
  eventName,
  exceptDevice,
  idempotencyKey,
  offsetInPath,
  onlyDevice,
  recipient,
  timeToLive,
  userInPath,
  wholeOfText,
} from "./schemas.ts";

/** What the document says of a schema, as something that judges. */
const documented = (schema: z.ZodType) => z.fromJSONSchema(z.toJSONSchema(schema, { io: "input" }));

const values = fc.oneof(
  fc.anything(),
  fc.integer(),
  fc.string(),
  fc.string({ unit: "binary", maxLength: 600 }),
  fc.stringMatching(/^[A-Za-z0-9_-]{0,70}$/),
  fc.stringMatching(/^\d{1,13}(\.\d{0,4})? ?(ms|s|m|h|d|w)?$/),
  fc.constantFrom("plain", "disconnect", "usercast:x", "x".repeat(255), "x".repeat(256), "x".repeat(257), "é".repeat(256)),
  fc.constantFrom(0, -1, 1.5, 60_000, 60_001, 366 * 86_400_000, 366 * 86_400_000 + 1, "1m", "61s", "366d", "367d", Number.NaN),
);

describe("what the document says of a value keeps step with the guard", () => {
  test.each(Object.entries({ recipient, eventName, timeToLive, answerTimeout, idempotencyKey, onlyDevice, exceptDevice }))(
    "%s takes nothing that it does not name",
    (_, schema) => {
      const said = documented(schema);
      fc.assert(
        fc.property(values, (value) => !schema.safeParse(value).success || said.safeParse(value).success),
        {
          numRuns: 2_000,
        },
      );
    },
  );

  test.each(Object.entries({ idempotencyKey, onlyDevice, exceptDevice }))("%s takes all that it names", (_, schema) => {
    const said = documented(schema);
    fc.assert(
      fc.property(values, (value) => !said.safeParse(value).success || schema.safeParse(value).success),
      { numRuns: 2_000 },
    );
  });
});

test("a segment is decoded exactly once", () => {
  expect(userInPath.parse("%252e%2Fa+b")).toBe("%2e/a+b");
  expect(offsetInPath.parse("%31%37")).toBe(17);
});

test.each(["", " 1", "+1", "-1", "01", "1.0", "1e3", "0x1", "١", "9007199254740992", "99999999999999999"])(
  "%j is no whole number",
  (text) => expect(wholeOfText(text)).toBeUndefined(),
);

describe("an error", () => {
  const schema = z.strictObject({ to: recipient, data: z.unknown(), flag: z.boolean().optional() });
  const errorOf = (value: unknown): UsercastError => {
    try {
      parseAs(schema, value, { whole: "the body", part: "field" });
    } catch (error) {
      if (error instanceof UsercastError) return error;
    }
    throw new Error("nothing was wrong");
  };

  test("has the guard's code where nothing but a guard refuses", () => {
    expect(errorOf({ to: "", data: 1 }).code).toBe("INVALID_USER_ID");
  });

  test("names all that has the wrong form, before what a guard says", () => {
    const { code, message } = errorOf({ to: "", flag: 1, extra: 1 });
    expect(code).toBe("INVALID_REQUEST");
    for (const part of ['"data" is missing', "flag: ", '["extra"]']) expect(message).toContain(part);
  });

  test("quotes no megabyte", () => {
    const names = Array.from({ length: 1_000 }, (_, i) => [`${i}${"x".repeat(1_000)}`, 1]);
    const { message } = errorOf({ to: "a", data: 1, ...Object.fromEntries(names) });
    expect(message.length).toBeLessThan(500);
    expect(message).toContain("and 995 more");
  });

  test.each([null, [], "text", 7])("says that %j is no object", (value) => {
    expect(errorOf(value)).toMatchObject({ code: "INVALID_REQUEST", message: "the body must be an object." });
  });
});
