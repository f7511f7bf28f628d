import { UsercastError } from "@usercast/protocol";
import type { Socket } from "socket.io";
import { describe, expect, it } from "vitest";
import { handshakeToken, identify, parseIdentity } from "./verify.ts";

const code = (expected: string) => expect.objectContaining({ name: "UsercastError", code: expected });

describe("the token of a handshake", () => {
  it("is auth.token, before the Authorization header", () => {
    expect(handshakeToken({ auth: { token: "a" }, headers: { authorization: "Bearer b" } })).toBe("a");
  });

  it.each(["Bearer b", "bearer b", "BEARER  b "])("is taken from %j", (authorization) => {
    expect(handshakeToken({ auth: {}, headers: { authorization } })).toBe("b");
  });

  it.each(["Basic b", "Bearer", "Bearer ", "Bearer b c", "b", ""])("is not taken from %j", (authorization) => {
    expect(handshakeToken({ headers: { authorization } })).toBeNull();
  });

  it("is never taken from the query string, which ends in logs", () => {
    const handshake = { auth: {}, headers: {}, query: { token: "q" }, url: "/socket.io/?token=q" };
    expect(handshakeToken(handshake)).toBeNull();
  });

  it.each([undefined, null, {}, { token: "" }, { token: null }, [], "text"])("is missing from auth %j", (auth) => {
    expect(handshakeToken({ auth, headers: {} })).toBeNull();
  });

  it.each([7, {}, ["a"], true, false, 0])("is refused when auth.token is %j", (token) => {
    expect(() => handshakeToken({ auth: { token }, headers: { authorization: "Bearer b" } })).toThrow(code("TOKEN_INVALID"));
  });
});

describe("what an authenticate function returns", () => {
  it.each([
    ["ana", { userId: "ana" }],
    [42, { userId: "42" }],
    [{ userId: 42 }, { userId: "42" }],
    [
      { userId: "ana", expiresAt: 5, role: "admin" },
      { userId: "ana", expiresAt: 5 },
    ],
    [{ userId: "ana", expiresAt: undefined }, { userId: "ana" }],
    ["__proto__", { userId: "__proto__" }],
    [null, null],
    [undefined, null],
  ])("%j becomes %j", (value, identity) => {
    expect(parseIdentity(value)).toEqual(identity);
  });

  it.each([true, false, "", 1.5, {}, [], ["ana"], { userId: "" }, { id: "ana" }])("%j is no user", (value) => {
    expect(() => parseIdentity(value)).toThrow(code("INVALID_USER_ID"));
  });

  it.each(["soon", Number.NaN, Number.POSITIVE_INFINITY, null, new Date(0)])("%j is no time to expire at", (expiresAt) => {
    expect(() => parseIdentity({ userId: "ana", expiresAt })).toThrow(code("AUTHENTICATION_FAILED"));
  });
});

describe("asking an authenticate function", () => {
  const socket = { data: { user: "ana" } } as Socket;

  it("hands it the socket and awaits its answer", async () => {
    expect(await identify(async ({ data }) => data.user, socket)).toEqual({ userId: "ana" });
    expect(await identify(({ data }) => data.user, socket)).toEqual({ userId: "ana" });
  });

  it("passes its own errors on", async () => {
    const refusal = new UsercastError("FORBIDDEN", "suspended");
    await expect(identify(() => Promise.reject(refusal), socket)).rejects.toBe(refusal);
  });

  it("keeps any other error out of what the client is told", async () => {
    const cause = new Error("password of the session store: hunter2");
    const ask = identify(() => {
      throw cause;
    }, socket);
    await expect(ask).rejects.toMatchObject({ code: "AUTHENTICATION_FAILED", cause });
    await expect(ask).rejects.not.toThrow("hunter2");
  });
});
