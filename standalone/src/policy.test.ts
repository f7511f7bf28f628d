import { describe, expect, test } from "vitest";
import { isBlindCrossSite, loopbackPolicy, originsPolicy } from "./policy.ts";

describe("development", () => {
  test.each(["localhost", "localhost:3000", "127.0.0.1:4000", "[::1]:3000", "::1:3000", "LOCALHOST:80"])(
    "answers to %s",
    (host) => {
      expect(loopbackPolicy.refuses({ host })).toBeUndefined();
    },
  );

  test.each([
    undefined,
    "",
    "evil.example",
    "evil.example:3000",
    "localhost.evil.example",
    "a.localhost",
    "localhost.",
    "127.0.0.2",
    "0.0.0.0:3000",
    "127.0.0.1@evil.example",
    "[::1",
    "localhost:",
  ])("does not answer to %s", (host) => {
    expect(loopbackPolicy.refuses({ host })).toBe("HOST_NOT_ALLOWED");
  });

  test.each(["http://localhost:5173", "https://localhost", "http://127.0.0.1:3000", "http://[::1]:3000"])(
    "lets pages of %s in",
    (origin) => {
      expect(loopbackPolicy.refuses({ host: "localhost:3000", origin })).toBeUndefined();
    },
  );

  test.each([
    "null",
    "",
    "http://evil.example",
    "http://localhost.evil.example",
    "http://localhost:3000/",
    "file://",
    "localhost",
  ])("keeps pages of %s out", (origin) => {
    expect(loopbackPolicy.refuses({ host: "localhost:3000", origin })).toBe("ORIGIN_NOT_ALLOWED");
  });
});

describe("production", () => {
  const policy = originsPolicy(["https://App.example", "capacitor://localhost"]);

  test.each([
    [undefined, "any.example"],
    ["https://app.example", "push.example"],
    ["capacitor://localhost", "push.example"],
    ["https://push.example", "push.example"],
    ["https://push.example", "push.example:443"],
    ["http://push.example:8080", "PUSH.example:8080"],
  ])("lets %s in at %s", (origin, host) => {
    expect(policy.refuses({ host, ...(origin && { origin }) })).toBeUndefined();
  });

  test.each([
    ["null", "push.example"],
    ["https://evil.example", "push.example"],
    ["https://app.example.evil.example", "push.example"],
    ["https://push.example:444", "push.example"],
    ["http://app.example", "push.example"],
    ["https://push.example", undefined],
    ["https://", ""],
  ])("keeps %s out at %s", (origin, host) => {
    expect(policy.refuses({ origin, ...(host !== undefined && { host }) })).toBe("ORIGIN_NOT_ALLOWED");
  });

  test("a star lists every origin but null", () => {
    expect(originsPolicy(["*"]).refuses({ host: "a", origin: "https://b.example" })).toBeUndefined();
    expect(originsPolicy(["*"]).refuses({ host: "a", origin: "null" })).toBe("ORIGIN_NOT_ALLOWED");
  });
});

test("a foreign page cannot hide where it is by asking without an Origin", () => {
  const foreign = { "sec-fetch-site": "cross-site" };
  expect(isBlindCrossSite("/socket.io/", foreign)).toBe(true);
  expect(isBlindCrossSite("/socket.io/socket.io.js/", foreign)).toBe(true);
  expect(isBlindCrossSite("/v1/users/ana", foreign)).toBe(true);
  expect(isBlindCrossSite("/socket.io/socket.io.min.js", foreign)).toBe(false);
  expect(isBlindCrossSite("/usercast.js", foreign)).toBe(false);
  expect(isBlindCrossSite("/socket.io/", { ...foreign, origin: "http://localhost" })).toBe(false);
  expect(isBlindCrossSite("/socket.io/", { "sec-fetch-site": "same-site" })).toBe(false);
  expect(isBlindCrossSite("/socket.io/", {})).toBe(false);
});
