import { connect } from "node:net";
import { describe, expect, test } from "vitest";
import { call, next, registered, startDevelopment } from "./harness.ts";

const messages = (id: string): string => `/v1/users/${id}/messages`;

describe("POST /v1/users/{id}/messages", () => {
  test("reaches a registered client at once, and says so", async () => {
    const { port } = await startDevelopment();
    const socket = await registered(port, "user123");
    const arrival = next(socket, "message");
    const { status, json } = await call(port, messages("user123"), { body: { data: { text: "hi" } } });
    expect(status).toBe(201);
    expect(json).toEqual({ userId: "user123", state: "pushed", epoch: expect.any(String), offset: 1, at: expect.any(Number) });
    expect(await arrival).toEqual({ text: "hi" });
  });

  test("is kept for a user who is away, with the event it names", async () => {
    const { port } = await startDevelopment();
    const { status, json } = await call(port, messages("user123"), { body: { event: "order:shipped", data: null, ttl: "1h" } });
    expect([status, json.state]).toEqual([201, "queued"]);
    const socket = await registered(port, "other");
    const arrival = next(socket, "order:shipped");
    socket.emit("register", "user123");
    expect(await arrival).toBeNull();
  });

  test("takes effect once per idempotency key", async () => {
    const { port } = await startDevelopment();
    const headers = { "idempotency-key": "o-42" };
    const first = await call(port, messages("ana"), { headers, body: { data: 1 } });
    const again = await call(port, messages("ana"), { headers, body: { data: 1 } });
    const other = await call(port, messages("ana"), { headers, body: { data: 2 } });
    expect(first.status).toBe(201);
    expect(again.status).toBe(200);
    expect(again.json).toEqual({ ...first.json, state: "duplicate" });
    expect([other.status, other.json.error.code]).toEqual([409, "IDEMPOTENCY_CONFLICT"]);
  });

  test("sends a signal to whoever is there, and promises nothing", async () => {
    const { port } = await startDevelopment();
    const socket = await registered(port, "ana");
    const arrival = next(socket, "typing");
    const { status, json } = await call(port, messages("ana"), { body: { event: "typing", data: "room-7", volatile: true } });
    expect([status, json]).toEqual([202, { userId: "ana", state: "signalled" }]);
    expect(await arrival).toBe("room-7");
  });

  test.each([
    ["JSON that ends early", '{"data":', 400, "MALFORMED_JSON"],
    ["bytes that are no UTF-8", Buffer.from('{"data":"\xff"}', "latin1"), 400, "MALFORMED_JSON"],
    ["nothing", "", 400, "MALFORMED_JSON"],
    ["a list", "[]", 400, "INVALID_REQUEST"],
    ["null", "null", 400, "INVALID_REQUEST"],
    ["no data", "{}", 400, "INVALID_REQUEST"],
    ["an unknown field", '{"data":1,"priority":2}', 400, "INVALID_REQUEST"],
    ["a field named __proto__", '{"data":1,"__proto__":{"volatile":true}}', 400, "INVALID_REQUEST"],
    ["volatile as text", '{"data":1,"volatile":"yes"}', 400, "INVALID_REQUEST"],
    ["an empty event", '{"data":1,"event":""}', 400, "INVALID_EVENT"],
    ["an event that is no text", '{"data":1,"event":7}', 400, "INVALID_EVENT"],
    ["an event of Socket.IO's", '{"data":1,"event":"disconnect"}', 400, "RESERVED_EVENT"],
    ["an event of ours", '{"data":1,"event":"usercast:ready"}', 400, "RESERVED_EVENT"],
    ["a ttl that is no time", '{"data":1,"ttl":"soon"}', 400, "INVALID_TTL"],
    ["a ttl of nothing", '{"data":1,"ttl":0}', 400, "INVALID_TTL"],
    ["a negative ttl", '{"data":1,"ttl":-1}', 400, "INVALID_TTL"],
    ["a ttl of more than a year", '{"data":1,"ttl":"367d"}', 400, "INVALID_TTL"],
    ["a ttl of half a millisecond", '{"data":1,"ttl":0.5}', 400, "INVALID_TTL"],
    ["a device that is a list", '{"data":1,"device":["phone"]}', 400, "INVALID_DEVICE"],
    ["a volatile message with a ttl", '{"data":1,"ttl":"1h","volatile":true}', 400, "IDEMPOTENCY_KEY_ON_VOLATILE"],
    ["a volatile event of ours", '{"data":1,"event":"usercast:ready","volatile":true}', 400, "RESERVED_EVENT"],
    ["too much data", JSON.stringify({ data: "x".repeat(65_536) }), 413, "PAYLOAD_TOO_LARGE"],
    ["too much volatile data", JSON.stringify({ data: "x".repeat(65_536), volatile: true }), 413, "PAYLOAD_TOO_LARGE"],
    ["a body beyond all measure", JSON.stringify({ data: "x".repeat(3_000_000) }), 413, "PAYLOAD_TOO_LARGE"],
  ])("answers %s", async (_, body, status, code) => {
    const { port } = await startDevelopment();
    const answer = await call(port, messages("ana"), { method: "POST", headers: { "content-type": "application/json" }, body });
    expect([answer.status, answer.json.error?.code]).toEqual([status, code]);
    expect((await call(port, "/healthz")).status).toBe(200);
  });

  test("data nested deeper than the stack is refused or carried, and never ends the server", async () => {
    const { port } = await startDevelopment();
    const body = `{"data":${"[".repeat(30_000)}${"]".repeat(30_000)}}`;
    for (const text of [body, body.replace("{", '{"volatile":true,')]) {
      const answer = await call(port, messages("ana"), {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: text,
      });
      expect([201, 202, 400]).toContain(answer.status);
    }
    expect((await call(port, "/healthz")).status).toBe(200);
  });

  test("fails where the mailbox is full, if it is to reject then", async () => {
    const { port } = await startDevelopment({ whenFull: "reject", maxMailboxMessages: "1" });
    expect((await call(port, messages("ana"), { body: { data: 1 } })).status).toBe(201);
    const full = await call(port, messages("ana"), { body: { data: 2 } });
    expect([full.status, full.json.error.code]).toEqual([507, "MAILBOX_FULL"]);
  });

  test("escaped text counts by what it says, not by how it is written", async () => {
    const { port } = await startDevelopment();
    const body = `{"data":"${"\\u00e9".repeat(32_000)}"}`;
    expect(body.length).toBeGreaterThan(2 * 65_536);
    const answer = await call(port, messages("ana"), { method: "POST", headers: { "content-type": "application/json" }, body });
    expect(answer.status).toBe(201);
  });

  test("names what it does not know", async () => {
    const { port } = await startDevelopment();
    const { json } = await call(port, messages("ana"), { body: { data: 1, prio: 2, urgent: true } });
    expect(json.error.message).toContain('["prio","urgent"]');
  });

  test.each([
    undefined,
    "text/plain",
    "application/x-www-form-urlencoded",
    "application/json; charset=latin1",
    "application/jsonp",
  ])("refuses the content type %s", async (type) => {
    const { port } = await startDevelopment();
    const answer = await call(port, messages("ana"), { method: "POST", headers: { "content-type": type }, body: '{"data":1}' });
    expect([answer.status, answer.json.error.code]).toEqual([415, "UNSUPPORTED_MEDIA_TYPE"]);
  });

  test("refuses a compressed body", async () => {
    const { port } = await startDevelopment();
    const answer = await call(port, messages("ana"), { headers: { "content-encoding": "gzip" }, body: { data: 1 } });
    expect(answer.status).toBe(415);
  });

  test.each([
    ["an empty key", { "idempotency-key": "" }],
    ["a long key", { "idempotency-key": "k".repeat(256) }],
    ["two keys", { "idempotency-key": ["a", "b"] }],
  ])("refuses %s", async (_, headers) => {
    const { port } = await startDevelopment();
    const answer = await call(port, messages("ana"), { headers, body: { data: 1 } });
    expect([answer.status, answer.json.error.code]).toEqual([400, "INVALID_IDEMPOTENCY_KEY"]);
  });

  test("stops reading a body without end", async () => {
    const { port } = await startDevelopment();
    const socket = connect(port, "127.0.0.1");
    socket.write(
      `POST ${messages("ana")} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n`,
    );
    const chunk = `10000\r\n${"x".repeat(65_536)}\r\n`;
    const writing = setInterval(() => socket.write(chunk), 1);
    let answer = "";
    socket.on("data", (data) => {
      answer += String(data);
    });
    socket.on("error", () => {});
    await new Promise((resolve) => socket.once("close", resolve));
    clearInterval(writing);
    expect(answer).toMatch(/^HTTP\/1\.1 413 /);
    expect(answer).toContain("PAYLOAD_TOO_LARGE");
  });
});

describe("the id in the path", () => {
  test.each([
    ["user%20with%20spaces", "user with spaces"],
    ["a%2Fb", "a/b"],
    ["%2e%2e", ".."],
    ["%252F", "%2F"],
    ["__proto__", "__proto__"],
    ["constructor", "constructor"],
    ["%F0%9F%90%99", "🐙"],
    ["caf%C3%A9", "café"],
    ["a+b", "a+b"],
    ["%3Fq%23f", "?q#f"],
  ])("%s names %s", async (path, userId) => {
    const { port } = await startDevelopment();
    const socket = await registered(port, userId);
    const arrival = next(socket, "message");
    const sent = await call(port, messages(path), { body: { data: "hi" } });
    expect([sent.status, sent.json.userId, sent.json.state]).toEqual([201, userId, "pushed"]);
    expect(await arrival).toBe("hi");
    expect((await call(port, `/v1/users/${path}`)).json).toMatchObject({ userId, online: true });
  });

  test.each(["%", "%zz", "%ff", "%ED%A0%80", "%00", "a%0Ab", "", "x".repeat(513)])("%j names nobody", async (path) => {
    const { port } = await startDevelopment();
    for (const answer of [await call(port, messages(path), { body: { data: 1 } }), await call(port, `/v1/users/${path}`)]) {
      expect([answer.status, answer.json.error.code]).toEqual([400, "INVALID_USER_ID"]);
    }
  });
});

describe("GET /v1/users/{id}", () => {
  test("tells of a user never seen", async () => {
    const { port } = await startDevelopment();
    expect((await call(port, "/v1/users/ana")).json).toEqual({ userId: "ana", online: false, devices: [], connections: [] });
  });

  test("lists connections, and the last one gone leaves when that was", async () => {
    const { port } = await startDevelopment();
    const first = await registered(port, "ana");
    const second = await registered(port, "ana");
    const { json } = await call(port, "/v1/users/ana");
    expect(json).toMatchObject({ online: true, devices: ["plain"] });
    expect(json.connections.map((connection: { socketId: string }) => connection.socketId)).toEqual([first.id, second.id]);
    first.disconnect();
    second.disconnect();
    await expect
      .poll(async () => (await call(port, "/v1/users/ana")).json)
      .toMatchObject({
        online: false,
        connections: [],
        lastSeen: expect.any(Number),
      });
  });

  test("answers HEAD without a body", async () => {
    const { port } = await startDevelopment();
    const answer = await call(port, "/v1/users/ana", { method: "HEAD" });
    expect([answer.status, answer.text]).toEqual([200, ""]);
  });
});

test("DELETE /v1/users/{id}/connections closes them for good", async () => {
  const { port } = await startDevelopment();
  const sockets = [await registered(port, "ana"), await registered(port, "ana")];
  const gone = sockets.map((socket) => next(socket, "disconnect"));
  const answer = await call(port, "/v1/users/ana/connections", { method: "DELETE" });
  expect([answer.status, answer.json]).toEqual([200, { userId: "ana", closed: 2 }]);
  expect(await Promise.all(gone)).toEqual(["io server disconnect", "io server disconnect"]);
  expect((await call(port, "/v1/users/ana/connections", { method: "DELETE" })).json.closed).toBe(0);
});

describe("every address", () => {
  test.each([
    "/nothing",
    "/v1",
    "/v1/",
    "/v1/users",
    "/v1/users/ana/",
    "/v1/users/ana/other",
    "/v1/users/ana/messages/1",
    "/../etc/passwd",
  ])("%s is none", async (path) => {
    const { port } = await startDevelopment();
    const answer = await call(port, path);
    expect([answer.status, answer.json.error.code]).toEqual([404, "NOT_FOUND"]);
  });

  test.each([
    ["PUT", "/v1/users/ana/messages", "GET, HEAD, POST"],
    ["GET", "/v1/messages", "POST"],
    ["GET", "/v1/users/ana/questions", "POST"],
    ["DELETE", "/v1/users/ana/messages/1/trace", "GET, HEAD"],
    ["POST", "/v1/stats", "GET, HEAD"],
    ["POST", "/openapi.json", "GET, HEAD"],
    ["POST", "/v1/users/ana", "GET, HEAD, DELETE"],
    ["GET", "/v1/users/ana/connections", "DELETE"],
    ["POST", "/healthz", "GET, HEAD"],
    ["DELETE", "/plain.html", "GET, HEAD"],
    ["POST", "/", "GET, HEAD"],
  ])("%s %s is told what is allowed", async (method, path, allow) => {
    const { port } = await startDevelopment();
    const answer = await call(port, path, { method });
    expect([answer.status, answer.headers.allow, answer.json.error.code]).toEqual([405, allow, "METHOD_NOT_ALLOWED"]);
  });

  test("takes no query", async () => {
    const { port } = await startDevelopment();
    const answer = await call(port, `${messages("ana")}?volatile=true`, { body: { data: 1 } });
    expect([answer.status, answer.json.error.code]).toEqual([400, "INVALID_REQUEST"]);
  });

  test("a path that is part of no address is a bad request", async () => {
    const { port } = await startDevelopment();
    expect((await call(port, "/v1\\users")).status).toBe(400);
  });

  test("health is public", async () => {
    const { port } = await startDevelopment();
    expect((await call(port, "/healthz")).json).toEqual({ status: "ok" });
    expect((await call(port, "/readyz")).json).toEqual({ status: "ready" });
  });
});

test("the log holds neither queries nor data nor anything a terminal would obey", async () => {
  const { port, logged } = await startDevelopment();
  await call(port, "/v1/users/ana?token=hush", { headers: { authorization: "Bearer hush" } });
  await call(port, messages("a%0Ab%1B%5B31m"), { body: { data: "hush" } });
  await call(port, messages("ana"), { body: { data: "hush" } });
  await expect.poll(() => logged.length).toBeGreaterThanOrEqual(3);
  const text = logged.join("");
  expect(text).toContain("/v1/users/a%0Ab%1B%5B31m/messages");
  expect(text).not.toContain("hush");
  for (const line of logged) expect(line).toMatch(/^[\x20-\x7e]+\n$/);
});
