import { request } from "node:http";
import { describe, expect, test } from "vitest";
import { call, client, next, startDevelopment, startProduction } from "./harness.ts";

const HANDSHAKE = "/socket.io/?EIO=4&transport=polling";

/** The answer to a WebSocket handshake: its status, and 101 where it was let in. */
function upgrade(port: number, path: string, headers: Record<string, string>): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const outgoing = request({
      host: "127.0.0.1",
      port,
      path,
      headers: {
        connection: "Upgrade",
        upgrade: "websocket",
        "sec-websocket-version": "13",
        "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
        ...headers,
      },
    });
    outgoing.on("upgrade", (_, socket) => {
      socket.destroy();
      resolve({ status: 101, text: "" });
    });
    outgoing.on("response", (incoming) => {
      let text = "";
      incoming.on("data", (chunk) => {
        text += String(chunk);
      });
      incoming.on("end", () => resolve({ status: incoming.statusCode ?? 0, text }));
    });
    outgoing.on("error", reject);
    outgoing.end();
  });
}

describe("development", () => {
  const PATHS = ["/", "/plain.html", "/healthz", "/v1/users/ana", HANDSHAKE, "/socket.io/socket.io.js", "/nothing"];

  test.each(PATHS)("%s answers to this machine's names only", async (path) => {
    const { port } = await startDevelopment();
    const stranger = await call(port, path, { headers: { host: "evil.example" } });
    expect([stranger.status, stranger.json.error.code]).toEqual([403, "HOST_NOT_ALLOWED"]);
    for (const host of [`localhost:${port}`, "127.0.0.1", `[::1]:${port}`]) {
      expect((await call(port, path, { headers: { host } })).status).not.toBe(403);
    }
  });

  test.each(PATHS)("%s is not for foreign pages", async (path) => {
    const { port } = await startDevelopment();
    for (const origin of ["https://evil.example", "null", `http://localhost.evil.example:${port}`]) {
      const foreign = await call(port, path, { headers: { origin } });
      expect([foreign.status, foreign.json.error.code]).toEqual([403, "ORIGIN_NOT_ALLOWED"]);
    }
    expect((await call(port, path, { headers: { origin: "http://localhost:5173" } })).status).not.toBe(403);
  });

  test("WebSocket handshakes go through the same door", async () => {
    const { port } = await startDevelopment();
    const path = "/socket.io/?EIO=4&transport=websocket";
    expect((await upgrade(port, path, {})).status).toBe(101);
    expect((await upgrade(port, path, { origin: "http://127.0.0.1:1234" })).status).toBe(101);
    const foreign = await upgrade(port, path, { origin: "https://evil.example" });
    expect([foreign.status, JSON.parse(foreign.text).error.code]).toEqual([403, "ORIGIN_NOT_ALLOWED"]);
    const rebound = await upgrade(port, path, { host: "evil.example" });
    expect([rebound.status, JSON.parse(rebound.text).error.code]).toEqual([403, "HOST_NOT_ALLOWED"]);
  });

  test("a foreign page cannot write into a session that is open", async () => {
    const { port } = await startDevelopment();
    const { text } = await call(port, HANDSHAKE);
    const path = `${HANDSHAKE}&sid=${JSON.parse(text.slice(1)).sid}`;
    const form = { method: "POST", headers: { origin: "https://evil.example", "content-type": "text/plain" }, body: "40" };
    expect((await call(port, path, form)).status).toBe(403);
    expect((await call(port, path, { ...form, headers: { ...form.headers, origin: `http://localhost:${port}` } })).status).toBe(
      200,
    );
  });

  test("a foreign script tag cannot read over JSONP", async () => {
    const { port } = await startDevelopment();
    const headers = { "sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors" };
    expect((await call(port, `${HANDSHAKE}&j=0`, { headers })).status).toBe(403);
    expect((await call(port, "/v1/users/ana", { headers })).status).toBe(403);
    expect((await call(port, "/socket.io/socket.io.js", { headers })).status).toBe(200);
    expect((await call(port, "/usercast.js", { headers })).status).toBe(200);
  });

  test("a page of another name of this machine may use Socket.IO and the API", async () => {
    const { port } = await startDevelopment();
    const origin = `http://127.0.0.1:${port}`;
    const headers = { host: `localhost:${port}`, origin };
    expect((await call(port, HANDSHAKE, { headers })).headers["access-control-allow-origin"]).toBe(origin);
    expect((await call(port, "/v1/users/ana", { headers })).headers["access-control-allow-origin"]).toBe(origin);
    const preflight = await call(port, "/v1/users/ana/messages", {
      method: "OPTIONS",
      headers: { ...headers, "access-control-request-method": "POST", "access-control-request-headers": "content-type" },
    });
    expect([preflight.status, preflight.headers["access-control-allow-origin"]]).toEqual([204, origin]);
  });

  test("listens on both loopback addresses, with one port, and on nothing else", async () => {
    const { port } = await startDevelopment();
    expect((await call(port, "/healthz", { address: "127.0.0.1" })).status).toBe(200);
    await expect(call(port, "/healthz", { address: "127.0.0.2" })).rejects.toMatchObject({ code: "ECONNREFUSED" });
    const answer = await call(port, "/healthz", { address: "::1" }).catch((error) => error.code);
    // A machine without IPv6 has no such address.
    if (answer !== "EADDRNOTAVAIL") expect(answer.status).toBe(200);
  });

  test("a socket over IPv6 is like any other", async (context) => {
    const { port } = await startDevelopment();
    const reachable = await call(port, "/healthz", { address: "::1" }).catch(() => undefined);
    if (reachable === undefined) return context.skip();
    for (const transport of ["websocket", "polling"]) await next(client(port, { transports: [transport] }, "[::1]"), "connect");
  });
});

describe("production", () => {
  test("lets in its own pages and those listed", async () => {
    const { port } = await startProduction({ origins: "https://app.example" });
    const statusOf = async (headers: Record<string, string>) => (await call(port, HANDSHAKE, { headers })).status;
    expect(await statusOf({})).toBe(200);
    expect(await statusOf({ host: "push.example", origin: "https://push.example" })).toBe(200);
    expect(await statusOf({ host: "push.example", origin: "https://app.example" })).toBe(200);
    expect(await statusOf({ host: "push.example", origin: "https://evil.example" })).toBe(403);
    expect(await statusOf({ host: "push.example", origin: "null" })).toBe(403);
  });

  test("tells browsers which listed page may read", async () => {
    const { port } = await startProduction({ origins: "https://app.example" });
    const { headers } = await call(port, HANDSHAKE, { headers: { origin: "https://app.example" } });
    expect(headers["access-control-allow-origin"]).toBe("https://app.example");
  });
});
