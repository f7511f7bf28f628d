import { expect, test } from "vitest";
import { ApiKeys } from "./keys.ts";

const keys = new ApiKeys(["shop:0123456789abcdef", "shop:rotated-9876543210", "desk:a:secret:with:colons"]);

test.each([
  ["Bearer shop:0123456789abcdef", "shop"],
  ["bearer  shop:rotated-9876543210 ", "shop"],
  ["Bearer desk:a:secret:with:colons", "desk"],
])("%s is a key of %s", (header, name) => {
  expect(keys.nameOf(header)).toBe(name);
});

test.each([
  undefined,
  "",
  "Bearer",
  "Bearer 0123456789abcdef",
  "Bearer desk:0123456789abcdef",
  "Bearer shop:0123456789abcdeF",
  "Bearer shop:0123456789abcde",
  "Basic shop:0123456789abcdef",
  `Bearer shop:${"x".repeat(10_000)}`,
])("%s is none", (header) => {
  expect(keys.nameOf(header)).toBeUndefined();
});

test.each(["shop", "shop:", ":0123456789abcdef", "shop:too-short", "a shop:0123456789abcdef", "shop:0123456789 abcdef"])(
  "refuses to start with %s",
  (text) => {
    expect(() => new ApiKeys([text])).toThrow(expect.objectContaining({ code: "INVALID_OPTIONS" }));
  },
);
