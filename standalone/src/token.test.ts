import { jwtVerify } from "jose";
import { expect, test } from "vitest";
import { createToken } from "./token.ts";

const secret = "0123456789abcdef0123456789abcdef";
const key = new TextEncoder().encode(secret);

test("a token says who, until when, and what the server asks for", async () => {
  const token = await createToken({ secret, issuer: "me", audience: "chat", userIdClaim: "uid" }, "ana", "90s");
  const { payload } = await jwtVerify(token, key, { algorithms: ["HS256"], issuer: "me", audience: "chat" });
  expect(payload["uid"]).toBe("ana");
  expect((payload.exp ?? 0) - (payload.iat ?? 0)).toBe(90);
});

test.each([
  ["", "1h", "INVALID_USER_ID"],
  ["ana", "soon", "INVALID_TTL"],
  ["ana", "10ms", "INVALID_TTL"],
  ["ana", "366d", "INVALID_TTL"],
])("refuses the user %j for %s", async (user, ttl, code) => {
  await expect(createToken({ secret }, user, ttl)).rejects.toMatchObject({ code });
});
