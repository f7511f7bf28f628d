import { expect, it } from "vitest";
import { MESSAGE_BYTES, message, numberOf } from "./payload.js";

const numbers = [0, 1, 999, 123_456_789, 8_999_999_999_999];

it.each(numbers)("message %i has a hundred bytes, and tells its number", (number) => {
  const json = JSON.stringify(message(number));
  expect(Buffer.byteLength(json)).toBe(MESSAGE_BYTES);
  expect(numberOf(Buffer.from(`42["message",${json}]`), `42["message",${json}`.length)).toBe(number);
});

it("no two messages are alike", () => {
  const many = Array.from({ length: 10_000 }, (_, i) => JSON.stringify(message(i)));
  expect(new Set(many).size).toBe(many.length);
});
