import { expect, it } from "vitest";
import { statusOf } from "./http-caller.js";

const whole = "HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}";

it("an answer has a status once all of it is there", () => {
  for (let length = 0; length < whole.length; length += 1) expect(statusOf(whole.slice(0, length))).toBeUndefined();
  expect(statusOf(whole)).toBe(201);
});

it("also where it comes in chunks", () => {
  const head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
  expect(statusOf(`${head}2\r\n{}\r\n`)).toBeUndefined();
  expect(statusOf(`${head}2\r\n{}\r\n0\r\n\r\n`)).toBe(200);
});
