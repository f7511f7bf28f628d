import { describe, expect, test } from "vitest";
import { createToken } from "../src/token.ts";
import { API_KEY, call, client, next, registered, SECRET, startDevelopment, startProduction } from "./harness.ts";

const token = (user: string): Promise<string> => createToken({ secret: SECRET }, user, "1m");
const authorized = { authorization: `Bearer ${API_KEY}` };

describe("the HTTP API", () => {
  test.each([undefined, "Bearer wrong:0123456789abcdef", "Bearer shop:0123456789abcdeX", `Basic ${API_KEY}`, API_KEY])(
    "is closed to %s",
    async (authorization) => {
      const { port } = await startProduction();
      const headers = { authorization };
      for (const answer of [
        await call(port, "/v1/users/ana/messages", { headers, body: { data: 1 } }),
        await call(port, "/v1/users/ana", { headers }),
        await call(port, "/v1/users/ana/connections", { headers, method: "DELETE" }),
        await call(port, "/v1/nothing", { headers }),
      ]) {
        expect([answer.status, answer.json.error.code]).toEqual([401, "UNAUTHORIZED"]);
        expect(answer.headers["www-authenticate"]).toMatch(/^Bearer/);
      }
    },
  );

  test("is open to a key, which the log names", async () => {
    const { port, logged } = await startProduction();
    const answer = await call(port, "/v1/users/ana/messages", { headers: authorized, body: { data: 1 } });
    expect([answer.status, answer.json.state]).toEqual([201, "queued"]);
    await expect.poll(() => logged.some((line) => line.includes('"key":"shop"'))).toBe(true);
    expect(logged.join("")).not.toContain(API_KEY);
  });

  test("health is public", async () => {
    const { port } = await startProduction();
    expect((await call(port, "/healthz")).status).toBe(200);
    expect((await call(port, "/readyz")).status).toBe(200);
  });
});

describe("sockets", () => {
  test("a token says who they are, in the handshake or by register", async () => {
    const { port } = await startProduction();
    client(port, { auth: { token: await token("ana") } });
    await registered(port, await token("bo"));
    for (const user of ["ana", "bo"]) {
      await expect.poll(async () => (await call(port, `/v1/users/${user}`, { headers: authorized })).json.online).toBe(true);
    }
  });

  test("a bare user id is not believed", async () => {
    const { port } = await startProduction();
    const socket = client(port);
    await next(socket, "connect");
    const answer = await socket.timeout(5_000).emitWithAck("register", "ana");
    expect(answer).toMatchObject({ ok: false, error: { code: "TOKEN_INVALID" } });
    expect((await call(port, "/v1/users/ana", { headers: authorized })).json.online).toBe(false);
  });

  test("who does not register in time is closed", async () => {
    const { port } = await startProduction({ registerTimeoutMs: "50" });
    const socket = client(port);
    expect(await next(socket, "disconnect")).toBe("io server disconnect");
  });

  test("users may not send to users unless that is said", async () => {
    const closed = await startProduction();
    const open = await startProduction({ userToUser: true });
    const send = async (port: number) => {
      const socket = await registered(port, await token("ana"));
      return socket.timeout(5_000).emitWithAck("usercast:send", { to: "bo", event: "message", data: "hi", key: "k1" });
    };
    expect(await send(closed.port)).toMatchObject({ ok: false, error: { code: "FORBIDDEN" } });
    expect(await send(open.port)).toMatchObject({ ok: true, state: "accepted", receipts: true });
  });

  test("clients of Engine.IO 3 are let in where that is said, and in development", async () => {
    const statusOf = async (port: number) => (await call(port, "/socket.io/?EIO=3&transport=polling")).status;
    expect(await statusOf((await startProduction()).port)).toBe(400);
    expect(await statusOf((await startProduction({ engineIo3: true })).port)).toBe(200);
    expect(await statusOf((await startDevelopment()).port)).toBe(200);
  });
});
