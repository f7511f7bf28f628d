import { request } from "node:http";
import { describe, expect, test } from "vitest";
import { type Answer, call, next, registered, startDevelopment } from "./harness.ts";

const batch = (port: number, messages: unknown): Promise<Answer> => call(port, "/v1/messages", { body: { messages } });

const codesOf = ({ json }: Answer): unknown[] =>
  json.results.map((result: { error?: { code: string }; state: string }) => result.error?.code ?? result.state);

describe("POST /v1/messages", () => {
  test("answers each send at its place", async () => {
    const { port } = await startDevelopment();
    const socket = await registered(port, "ana");
    const arrivals = [next(socket, "message"), next(socket, "typing")];
    const answer = await batch(port, [
      { to: "ana", data: "hi" },
      { to: "bo", event: "order:shipped", data: null, ttl: "1h", key: "o-1" },
      { to: "bo", event: "order:shipped", data: null, ttl: "1h", key: "o-1" },
      { to: "bo", data: "other", key: "o-1" },
      { to: "ana", event: "typing", data: "room-7", volatile: true },
      { to: 7, data: "a number" },
    ]);
    const [epoch, at] = [expect.any(String), expect.any(Number)];
    expect([answer.status, answer.json]).toEqual([
      200,
      {
        results: [
          { userId: "ana", state: "pushed", epoch, offset: 1, at },
          { userId: "bo", state: "queued", epoch, offset: 1, at },
          { userId: "bo", state: "duplicate", epoch, offset: 1, at },
          { userId: "bo", state: "failed", error: { code: "IDEMPOTENCY_CONFLICT", message: expect.any(String) } },
          { userId: "ana", state: "signalled" },
          { userId: "7", state: "queued", epoch, offset: 1, at },
        ],
      },
    ]);
    expect(await Promise.all(arrivals)).toEqual(["hi", "room-7"]);
  });

  test("keeps the order of a thousand sends to one user, and of those in between", async () => {
    const { port } = await startDevelopment();
    const messages = Array.from({ length: 1_000 }, (_, i) => ({ to: i % 3 === 0 ? "bo" : "ana", data: i }));
    const { json } = await batch(port, messages);
    expect(json.results).toHaveLength(1_000);
    for (const user of ["ana", "bo"]) {
      const own = messages.filter(({ to }) => to === user).map(({ data }) => data);
      const read = (await call(port, `/v1/users/${user}/messages?limit=1000`)).json;
      expect(read.messages.map(({ data }: { data: number }) => data)).toEqual(own);
      const offsets = json.results.filter(({ userId }: { userId: string }) => userId === user);
      expect(offsets.map(({ offset }: { offset: number }) => offset)).toEqual(own.map((_, i) => i + 1));
    }
  });

  test.each([
    ["an id that is none", { to: "", data: 1 }, "INVALID_USER_ID"],
    ["an id of many kilobytes", { to: "x".repeat(100_000), data: 1 }, "INVALID_USER_ID"],
    ["an id of a megabyte", { to: "x".repeat(1_048_576), data: 1 }, "PAYLOAD_TOO_LARGE"],
    ["nobody", { data: 1 }, "INVALID_USER_ID"],
    ["a user who is no text", { to: {}, data: 1 }, "INVALID_USER_ID"],
    ["no data", { to: "ana" }, "INVALID_REQUEST"],
    ["an unknown field", { to: "ana", data: 1, priority: 2 }, "INVALID_REQUEST"],
    ["an unknown field of many kilobytes", { to: "ana", data: 1, ["x".repeat(100_000)]: 2 }, "INVALID_REQUEST"],
    ["an unknown field of a megabyte", { to: "ana", data: 1, ["x".repeat(1_048_576)]: 2 }, "PAYLOAD_TOO_LARGE"],
    ["a field of the header's", { to: "ana", data: 1, "Idempotency-Key": "k" }, "INVALID_REQUEST"],
    ["a list", [], "INVALID_REQUEST"],
    ["null", null, "INVALID_REQUEST"],
    ["text", "ana", "INVALID_REQUEST"],
    ["volatile as text", { to: "ana", data: 1, volatile: "yes" }, "INVALID_REQUEST"],
    ["an event that is no text", { to: "ana", data: 1, event: 7 }, "INVALID_EVENT"],
    ["an event of ours", { to: "ana", data: 1, event: "usercast:ready" }, "RESERVED_EVENT"],
    ["a volatile event of ours", { to: "ana", data: 1, event: "usercast:ready", volatile: true }, "RESERVED_EVENT"],
    ["a ttl of nothing", { to: "ana", data: 1, ttl: 0 }, "INVALID_TTL"],
    ["a negative ttl", { to: "ana", data: 1, ttl: -1 }, "INVALID_TTL"],
    ["a ttl of more than a year", { to: "ana", data: 1, ttl: "367d" }, "INVALID_TTL"],
    ["a key of many kilobytes", { to: "ana", data: 1, key: "k".repeat(100_000) }, "INVALID_IDEMPOTENCY_KEY"],
    ["a key of a megabyte", { to: "ana", data: 1, key: "k".repeat(1_048_576) }, "PAYLOAD_TOO_LARGE"],
    ["a key that is no text", { to: "ana", data: 1, key: 7 }, "INVALID_IDEMPOTENCY_KEY"],
    ["a volatile send with a key", { to: "ana", data: 1, key: "k", volatile: true }, "IDEMPOTENCY_KEY_ON_VOLATILE"],
    ["a volatile send with a ttl", { to: "ana", data: 1, ttl: 1, volatile: true }, "IDEMPOTENCY_KEY_ON_VOLATILE"],
    ["a device that is none", { to: "ana", data: 1, device: "a b" }, "INVALID_DEVICE"],
    ["two wishes about devices", { to: "ana", data: 1, device: "a", exceptDevice: "b" }, "INVALID_TARGET"],
    ["too much data", { to: "ana", data: "x".repeat(65_536) }, "PAYLOAD_TOO_LARGE"],
    ["too much volatile data", { to: "ana", data: "x".repeat(65_536), volatile: true }, "PAYLOAD_TOO_LARGE"],
  ])("%s fails alone, in few words", async (_, element, code) => {
    const { port } = await startDevelopment();
    const answer = await batch(port, [{ to: "bo", data: 1 }, element, { to: "bo", data: 2 }]);
    expect([answer.status, codesOf(answer)]).toEqual([200, ["queued", code, "queued"]]);
    expect(answer.text.length).toBeLessThan(2_000);
    expect((await call(port, "/v1/users/ana/messages")).json.messages).toEqual([]);
  });

  test("what is no JSON fails alone where it is inside one send", async () => {
    const { port } = await startDevelopment();
    const body = '{"messages":[{"to":"ana","data":1},{"to":"ana","data":NaN},nonsense,{"to":"ana","data":2}]}';
    const answer = await call(port, "/v1/messages", { method: "POST", headers: { "content-type": "application/json" }, body });
    expect([answer.status, codesOf(answer)]).toEqual([200, ["queued", "MALFORMED_JSON", "MALFORMED_JSON", "queued"]]);
  });

  test("names whom a failed send was for, as far as that is anybody", async () => {
    const { port } = await startDevelopment();
    const { json } = await batch(port, [
      { to: "ana", data: 1, ttl: 0 },
      { to: "", data: 1 },
    ]);
    expect(json.results.map((result: object) => Object.hasOwn(result, "userId"))).toEqual([true, false]);
  });

  test.each([
    ["an empty list", { messages: [] }, 400, "INVALID_REQUEST"],
    ["no list", {}, 400, "INVALID_REQUEST"],
    ["a single send", { messages: { to: "ana", data: 1 } }, 400, "INVALID_REQUEST"],
    ["a list without its name", [{ to: "ana", data: 1 }], 400, "INVALID_REQUEST"],
    ["an unknown field", { messages: [{ to: "ana", data: 1 }], ttl: "1h" }, 400, "INVALID_REQUEST"],
    ["an object's own field", { messages: [{ to: "ana", data: 1 }], ["__proto__"]: [1] }, 400, "INVALID_REQUEST"],
    ["null", null, 400, "INVALID_REQUEST"],
    ["1,001 sends", { messages: Array(1_001).fill({ to: "ana", data: 1 }) }, 400, "TOO_MANY_RECIPIENTS"],
    ["1,001 of anything", { messages: Array(1_001).fill(0) }, 400, "TOO_MANY_RECIPIENTS"],
  ])("%s fails as a whole", async (_, body, status, code) => {
    const { port } = await startDevelopment();
    const headers = { "content-type": "application/json" };
    const answer = await call(port, "/v1/messages", { method: "POST", headers, body: JSON.stringify(body) });
    expect([answer.status, answer.json.error.code]).toEqual([status, code]);
    expect((await call(port, "/v1/users/ana/messages")).json.messages).toEqual([]);
  });

  test.each([
    ["a list that ends early", '{"messages":[{"to":"ana","data":1}'],
    ["something after the end", '{"messages":[{"to":"ana","data":1}]}{}'],
    ["a comma too many", '{"messages":[{"to":"ana","data":1},]}'],
    ["no JSON", "messages"],
    ["nothing", ""],
    ["bytes that are no UTF-8", Buffer.from('{"messages":[{"to":"ana","data":"\xff"}]}', "latin1")],
  ])("%s is malformed as a whole", async (_, body) => {
    const { port } = await startDevelopment();
    const answer = await call(port, "/v1/messages", { method: "POST", headers: { "content-type": "application/json" }, body });
    expect([answer.status, answer.json.error.code]).toEqual([400, "MALFORMED_JSON"]);
    expect((await call(port, "/v1/users/ana/messages")).json.messages).toEqual([]);
  });

  test("takes neither a key for all of them, nor a query", async () => {
    const { port } = await startDevelopment();
    const body = { messages: [{ to: "ana", data: 1 }] };
    const keyed = await call(port, "/v1/messages", { headers: { "idempotency-key": "k" }, body });
    expect([keyed.status, keyed.json.error.code]).toEqual([400, "INVALID_REQUEST"]);
    expect(keyed.json.error.message).toContain("Idempotency-Key");
    expect((await call(port, "/v1/messages?ttl=1", { body })).json.error.code).toBe("INVALID_REQUEST");
    expect((await call(port, "/v1/users/ana/messages")).json.messages).toEqual([]);
  });

  test("what fails for a reason of the server's own is logged, once of a kind", async () => {
    const { port, logged } = await startDevelopment({ maxMailboxes: "1" });
    const answer = await batch(port, [
      { to: "ana", data: 1 },
      { to: "bo", data: 1 },
      { to: "cy", data: 1 },
      { to: "ana", data: 1, ttl: 0 },
    ]);
    expect(codesOf(answer)).toEqual(["queued", "STORE_FULL", "STORE_FULL", "INVALID_TTL"]);
    await expect.poll(() => logged.filter((line) => line.includes("request failed")).length).toBe(1);
    expect(logged.join("")).toContain("STORE_FULL");
  });

  test("is as large as the setting says, whatever one message may be", async () => {
    const { port } = await startDevelopment({ maxBatchBytes: "2000000" });
    const sized = (count: number) => Array(count).fill({ to: "ana", data: "x".repeat(60_000) });
    expect((await batch(port, sized(33))).status).toBe(200);
    const answer = await batch(port, sized(34));
    expect([answer.status, answer.json.error.code]).toEqual([413, "PAYLOAD_TOO_LARGE"]);
  });

  test("bodies that are on their way share the memory of four", async () => {
    const { port } = await startDevelopment({ maxBatchBytes: "100000" });
    const open = (length: number) => {
      const headers = { "content-type": "application/json", ...(length > 0 && { "content-length": length }) };
      const outgoing = request({ host: "127.0.0.1", port, path: "/v1/messages", method: "POST", agent: false, headers });
      outgoing.on("error", () => {});
      outgoing.write("{");
      return outgoing;
    };
    const small = { messages: [{ to: "ana", data: "x".repeat(1_000) }] };
    // Three say how long they are, and one may become as long as it can.
    const waiting = [open(100_000), open(100_000), open(100_000), open(0)];
    await expect.poll(async () => (await call(port, "/v1/messages", { body: small })).status).toBe(503);
    expect((await call(port, "/v1/messages", { body: small })).json.error.code).toBe("OVERLOADED");
    expect((await call(port, "/v1/users/ana/messages", { body: { data: 1 } })).status).toBe(201);
    for (const outgoing of waiting) outgoing.destroy();
    await expect.poll(async () => (await call(port, "/v1/messages", { body: small })).status).toBe(200);
  });
});
