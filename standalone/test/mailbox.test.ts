import { describe, expect, test } from "vitest";
import { call, next, registered, startDevelopment } from "./harness.ts";

const mailbox = (query = "", id = "ana"): string => `/v1/users/${id}/messages${query}`;

async function send(port: number, ...data: readonly unknown[]): Promise<void> {
  for (const datum of data) await call(port, mailbox(), { body: { data: datum } });
}

describe("GET /v1/users/{id}/messages", () => {
  test("a user without messages has an empty page", async () => {
    const { port } = await startDevelopment();
    const { status, json } = await call(port, mailbox());
    const epoch = expect.any(String);
    expect([status, json]).toEqual([200, { userId: "ana", epoch, head: { epoch, offset: 0, at: 0 }, messages: [], through: 0 }]);
  });

  test("tells of each message what is kept of it", async () => {
    const { port } = await startDevelopment();
    const headers = { "idempotency-key": "o-42" };
    const sent = await call(port, mailbox(), { headers, body: { event: "order:shipped", data: { id: 42 }, ttl: "1h" } });
    const { json } = await call(port, mailbox());
    const { epoch, offset, at } = sent.json;
    expect(json).toEqual({
      userId: "ana",
      epoch,
      head: { epoch, offset, at },
      messages: [{ offset, at, expiresAt: at + 3_600_000, event: "order:shipped", data: { id: 42 }, key: "o-42" }],
      through: offset,
    });
  });

  test("is read page by page, from the oldest on", async () => {
    const { port } = await startDevelopment();
    await send(port, 1, 2, 3, 4, 5);
    const seen: unknown[] = [];
    let after = 0;
    for (;;) {
      const { json } = await call(port, mailbox(`?after=${after}&limit=2`));
      expect(json.messages.length).toBeLessThanOrEqual(2);
      seen.push(...json.messages.map(({ data }: { data: unknown }) => data));
      after = json.through;
      if (after === json.head.offset) break;
    }
    expect(seen).toEqual([1, 2, 3, 4, 5]);
    expect((await call(port, mailbox("?after=100"))).json).toMatchObject({ messages: [] });
  });

  test("who sent it, and bytes that a client sent, are told as they are", async () => {
    const { port } = await startDevelopment();
    const socket = await registered(port, "bo");
    const data = { photo: Buffer.from("hi"), base64: "aGk=" };
    await socket.timeout(5_000).emitWithAck("usercast:send", { to: "ana", event: "photo", data, key: "k1" });
    const { json } = await call(port, mailbox());
    expect(json.messages).toMatchObject([
      { event: "photo", data: { photo: { base64: "aGk=" }, base64: "aGk=" }, binary: ["/photo"], from: "bo", key: "k1" },
    ]);
  });

  test("what was nested as deeply as a send may be is read all the same", async () => {
    const { port } = await startDevelopment();
    let deepest = 0;
    for (let depth = 1_000; depth <= 30_000; depth += 250) {
      const body = `{"data":${"[".repeat(depth)}${"]".repeat(depth)}}`;
      const headers = { "content-type": "application/json" };
      const { status } = await call(port, mailbox(), { method: "POST", headers, body });
      if (status !== 201) break;
      deepest = depth;
    }
    expect(deepest).toBeGreaterThan(0);
    const { status, json } = await call(port, mailbox("?limit=1000"));
    expect([status, json.through]).toEqual([200, json.head.offset]);
  });

  test.each([
    ["a number that is none", "?after=x", "INVALID_POSITION"],
    ["no number", "?after=", "INVALID_POSITION"],
    ["a negative offset", "?after=-1", "INVALID_POSITION"],
    ["a fraction", "?after=1.5", "INVALID_POSITION"],
    ["an offset beyond all numbers", "?after=9007199254740992", "INVALID_POSITION"],
    ["another way to write a number", "?after=1e3", "INVALID_POSITION"],
    ["no messages", "?limit=0", "INVALID_POSITION"],
    ["too many messages", "?limit=1001", "INVALID_POSITION"],
    ["a parameter nobody knows", "?after=1&offset=2", "INVALID_REQUEST"],
    ["a parameter of an object's", "?__proto__=1", "INVALID_REQUEST"],
    ["another case", "?After=1", "INVALID_REQUEST"],
    ["a parameter twice", "?after=1&after=2", "INVALID_REQUEST"],
    ["a parameter twice, once in disguise", "?after=1&%61fter=1", "INVALID_REQUEST"],
    ["broken percents", "?%zz=1", "INVALID_REQUEST"],
  ])("refuses %s", async (_, query, code) => {
    const { port } = await startDevelopment();
    const { status, json } = await call(port, mailbox(query));
    expect([status, json.error.code]).toEqual([400, code]);
  });

  test("says which parameter it does not take, and which it was given twice", async () => {
    const { port } = await startDevelopment();
    expect((await call(port, mailbox("?offset=2"))).json.error.message).toContain('["offset"]');
    expect((await call(port, mailbox("?limit=2&limit=3"))).json.error.message).toContain("limit");
    expect((await call(port, mailbox("?limit=0"))).json.error.message).toContain("limit");
  });

  test("takes an empty query, and answers HEAD", async () => {
    const { port } = await startDevelopment();
    expect((await call(port, mailbox("?"))).status).toBe(200);
    expect((await call(port, mailbox("?limit=1"), { method: "HEAD" })).status).toBe(200);
  });
});

describe("DELETE /v1/users/{id}", () => {
  test("forgets the mailbox for good, and says nothing of what was in it", async () => {
    const { port } = await startDevelopment();
    await send(port, 1, 2);
    const before = (await call(port, mailbox())).json;
    const answer = await call(port, "/v1/users/ana", { method: "DELETE" });
    expect([answer.status, answer.text]).toEqual([204, ""]);
    const after = (await call(port, mailbox())).json;
    expect(after).toMatchObject({ head: { offset: 0 }, messages: [] });
    expect(after.epoch).not.toBe(before.epoch);
    await send(port, "first");
    expect((await call(port, mailbox())).json.messages).toMatchObject([{ offset: 1, data: "first" }]);
  });

  test("of nobody is no error", async () => {
    const { port } = await startDevelopment();
    expect((await call(port, "/v1/users/nobody", { method: "DELETE" })).status).toBe(204);
  });

  test("takes a key that was used as a new one", async () => {
    const { port } = await startDevelopment();
    const headers = { "idempotency-key": "k" };
    await call(port, mailbox(), { headers, body: { data: 1 } });
    await call(port, "/v1/users/ana", { method: "DELETE" });
    expect((await call(port, mailbox(), { headers, body: { data: 2 } })).status).toBe(201);
  });

  test("sends connections away to come back, and they hear of what comes next", async () => {
    const { port } = await startDevelopment();
    const socket = await registered(port, "ana", { reconnectionDelay: 10 });
    await send(port, 1);
    const [gone, back] = [next(socket, "disconnect"), next(socket, "connect")];
    await call(port, "/v1/users/ana", { method: "DELETE" });
    expect(await gone).toBe("transport close");
    await back;
    const arrival = next(socket, "message");
    socket.emit("register", "ana");
    await send(port, "after");
    expect(await arrival).toBe("after");
  });

  test.each(["%", "", "x".repeat(513)])("%j names nobody", async (id) => {
    const { port } = await startDevelopment();
    const answer = await call(port, `/v1/users/${id}`, { method: "DELETE" });
    expect([answer.status, answer.json.error.code]).toEqual([400, "INVALID_USER_ID"]);
  });
});
