import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { call, startDevelopment, startProduction } from "./harness.ts";

test("the plain page holds the client of the users' habits, for the port it is served on", async () => {
  const { port } = await startDevelopment();
  const { status, text, headers } = await call(port, "/plain.html");
  expect([status, headers["content-type"]]).toEqual([200, "text/html; charset=utf-8"]);
  expect(text).toContain('<script src="/socket.io/socket.io.js"></script>');
  expect(text).toContain(
    [
      `const socket = io('http://localhost:${port}');`,
      "socket.on('connect', () => { socket.emit('register', 'user123'); });",
      "socket.on('message', (msg) => { console.log('Received message:', msg); });",
    ].join("\n"),
  );
  expect(text).toContain(`curl -X POST http://localhost:${port}/v1/users/user123/messages`);
  expect(text).not.toContain("localhost:3000");
});

test("every inline script of a page is allowed by its policy, and no other", async () => {
  const { port } = await startDevelopment();
  const { text, headers } = await call(port, "/plain.html");
  const scripts = [...text.matchAll(/<script(?: id="\w+")?>([\s\S]*?)<\/script>/g)].map(([, script]) => script ?? "");
  expect(scripts).toHaveLength(2);
  const policy = String(headers["content-security-policy"]);
  const scriptPolicy = policy.split("; ").find((directive) => directive.startsWith("script-src"));
  const hashes = scripts.map((script) => `'sha256-${createHash("sha256").update(script).digest("base64")}'`);
  expect(scriptPolicy).toBe(["script-src", "'self'", ...hashes].join(" "));
  expect(policy).toContain(`connect-src 'self' http://localhost:${port} ws://localhost:${port}`);
});

test("pages are kept by browsers and asked about every time", async () => {
  const { port } = await startDevelopment();
  const { headers } = await call(port, "/");
  expect(headers).toMatchObject({ "cache-control": "no-cache", "x-content-type-options": "nosniff", etag: expect.any(String) });
  const again = await call(port, "/", { headers: { "if-none-match": `W/"other", ${headers.etag}` } });
  expect([again.status, again.text, again.headers.etag]).toEqual([304, "", headers.etag]);
  const head = await call(port, "/", { method: "HEAD" });
  expect([head.status, head.text, head.headers.etag]).toEqual([200, "", headers.etag]);
});

test("Socket.IO's client and ours come from the server itself", async () => {
  const { port } = await startDevelopment();
  expect((await call(port, "/socket.io/socket.io.js")).text).toContain("Socket.IO");
  expect((await call(port, "/usercast.js")).headers["content-type"]).toBe("text/javascript; charset=utf-8");
});

test("only pages are served", async () => {
  const { port } = await startDevelopment();
  for (const path of ["/notes.txt", "/index.html", "/../package.json", "/%2e%2e/package.json", "/__proto__"]) {
    expect((await call(port, path)).status).toBe(404);
  }
});

test("production has the client's scripts and no pages", async () => {
  const { port } = await startProduction();
  expect((await call(port, "/socket.io/socket.io.js")).status).toBe(200);
  expect((await call(port, "/usercast.js")).status).toBe(200);
  for (const path of ["/", "/plain.html"]) expect((await call(port, path)).status).toBe(404);
});
