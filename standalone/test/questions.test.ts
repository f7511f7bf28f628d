import { request } from "node:http";
import { describe, expect, test } from "vitest";
import { type Answer, call, device, next, registered, startDevelopment } from "./harness.ts";

const ask = (port: number, body: unknown, id = "ana"): Promise<Answer> => call(port, `/v1/users/${id}/questions`, { body });

type Reply = (answer: unknown) => void;

describe("POST /v1/users/{id}/questions", () => {
  test("answers what a client without the SDK answered to an ordinary event", async () => {
    const { port } = await startDevelopment();
    const socket = await registered(port, "ana");
    socket.on("confirm", (data: { id: number }, reply: Reply) => reply({ ok: data.id === 42 }));
    const { status, json } = await ask(port, { event: "confirm", data: { id: 42 } });
    expect([status, json]).toEqual([200, { userId: "ana", data: { ok: true } }]);
  });

  test("answers what a device answered, and bytes as what they are", async () => {
    const { port } = await startDevelopment();
    const phone = await device(port, "ana", "phone");
    phone.answers((event, data) => ({ ok: true, data: { event, data, photo: Buffer.from("hi") } }));
    const { status, json } = await ask(port, { event: "photo", data: null });
    expect([status, json]).toEqual([
      200,
      { userId: "ana", data: { event: "photo", data: null, photo: { base64: "aGk=" } }, binary: ["/photo"] },
    ]);
  });

  test("takes the first answer, and one that is nothing is null", async () => {
    const { port } = await startDevelopment();
    await registered(port, "ana");
    const quick = await registered(port, "ana");
    quick.on("confirm", (_: unknown, reply: () => void) => reply());
    expect((await ask(port, { event: "confirm", data: null })).json).toEqual({ userId: "ana", data: null });
  });

  test("asks the newest connection alone", async () => {
    const { port } = await startDevelopment();
    const asked: string[] = [];
    for (const name of ["old", "new"]) {
      (await device(port, "ana", name)).answers(() => {
        asked.push(name);
        return { ok: true, data: name };
      });
    }
    expect((await ask(port, { event: "who", data: null, mode: "newest" })).json).toEqual({ userId: "ana", data: "new" });
    expect(asked).toEqual(["new"]);
  });

  test("asks one device alone", async () => {
    const { port } = await startDevelopment();
    for (const name of ["phone", "laptop"]) (await device(port, "ana", name)).answers(() => ({ ok: true, data: name }));
    expect((await ask(port, { event: "who", data: null, device: "phone" })).json).toEqual({ userId: "ana", data: "phone" });
    const nobody = await ask(port, { event: "who", data: null, device: "watch" });
    expect([nobody.status, nobody.json.error.code]).toEqual([409, "USER_OFFLINE"]);
  });

  test("waits for everybody where that is said, and names who was silent", async () => {
    const { port } = await startDevelopment();
    (await device(port, "ana", "phone", "s1")).answers(() => ({ ok: true, data: 1 }));
    await device(port, "ana", "laptop", "s2");
    const { status, json } = await ask(port, { event: "who", data: null, mode: "all", timeout: 300 });
    expect([status, json]).toEqual([
      200,
      {
        userId: "ana",
        answers: [{ device: "phone", session: "s1", socketId: expect.any(String), data: 1 }],
        silent: [{ device: "laptop", session: "s2", socketId: expect.any(String), code: expect.any(String) }],
      },
    ]);
  });

  test("says at once that nobody is there", async () => {
    const { port } = await startDevelopment();
    const { status, json } = await ask(port, { event: "confirm", data: null, timeout: "1m" });
    expect([status, json.error.code]).toEqual([409, "USER_OFFLINE"]);
  });

  test("says in the end that nobody answered, which is no failure of the server's", async () => {
    const { port, logged } = await startDevelopment();
    await registered(port, "ana");
    const { status, json } = await ask(port, { event: "confirm", data: null, timeout: "50ms" });
    expect([status, json.error.code]).toEqual([504, "NO_ANSWER"]);
    await expect.poll(() => logged.some((line) => line.includes('"status":504'))).toBe(true);
    expect(logged.join("")).not.toContain("request failed");
  });

  test.each([
    ["no event", { data: 1 }, 400, "INVALID_EVENT"],
    ["no data", { event: "e" }, 400, "INVALID_REQUEST"],
    ["an unknown field", { event: "e", data: 1, ttl: 1 }, 400, "INVALID_REQUEST"],
    ["a mode nobody knows", { event: "e", data: 1, mode: "last" }, 400, "INVALID_REQUEST"],
    ["a mode that is no text", { event: "e", data: 1, mode: 1 }, 400, "INVALID_REQUEST"],
    ["an event of Socket.IO's", { event: "disconnect", data: 1 }, 400, "RESERVED_EVENT"],
    ["an event of ours", { event: "usercast:ready", data: 1 }, 400, "RESERVED_EVENT"],
    ["a timeout of nothing", { event: "e", data: 1, timeout: 0 }, 400, "INVALID_TIMEOUT"],
    ["a negative timeout", { event: "e", data: 1, timeout: -1 }, 400, "INVALID_TIMEOUT"],
    ["a timeout that is no time", { event: "e", data: 1, timeout: "soon" }, 400, "INVALID_TIMEOUT"],
    ["a timeout of more than a minute", { event: "e", data: 1, timeout: 60_001 }, 400, "INVALID_TIMEOUT"],
    ["a timeout that is an object", { event: "e", data: 1, timeout: {} }, 400, "INVALID_TIMEOUT"],
    ["a device that is none", { event: "e", data: 1, device: "a b" }, 400, "INVALID_DEVICE"],
    ["too much data", { event: "e", data: "x".repeat(65_536) }, 413, "PAYLOAD_TOO_LARGE"],
    ["a list", [], 400, "INVALID_REQUEST"],
  ])("refuses %s", async (_, body, status, code) => {
    const { port } = await startDevelopment();
    const socket = await registered(port, "ana");
    socket.onAny((_event: string, _data: unknown, reply?: Reply) => reply?.("answered"));
    const answer = await ask(port, body);
    expect([answer.status, answer.json.error?.code]).toEqual([status, code]);
  });

  test("takes no idempotency key, because asking twice is asking twice", async () => {
    const { port } = await startDevelopment();
    const headers = { "idempotency-key": "k" };
    const { status, json } = await call(port, "/v1/users/ana/questions", { headers, body: { event: "e", data: 1 } });
    expect([status, json.error.code]).toEqual([400, "INVALID_REQUEST"]);
  });

  test("a caller who hangs up is no matter to anybody, and the answer goes nowhere", async () => {
    const { port, logged } = await startDevelopment();
    const socket = await registered(port, "ana");
    const asked = new Promise<Reply>((resolve) => socket.once("confirm", (_: unknown, reply: Reply) => resolve(reply)));
    const body = JSON.stringify({ event: "confirm", data: null, timeout: "1m" });
    const outgoing = request({ host: "127.0.0.1", port, path: "/v1/users/ana/questions", method: "POST", agent: false });
    outgoing.on("error", () => {});
    outgoing.setHeader("content-type", "application/json");
    outgoing.end(body);
    const reply = await asked;
    outgoing.destroy();
    reply("late");
    await expect.poll(() => logged.some((line) => line.includes("/questions"))).toBe(true);
    expect(logged.join("")).not.toContain('"level":50');
    const arrival = next(socket, "message");
    await call(port, "/v1/users/ana/messages", { body: { data: "still here" } });
    expect(await arrival).toBe("still here");
  });

  test("a stop answers those who wait", async () => {
    const server = await startDevelopment();
    const socket = await registered(server.port, "ana");
    const asked = next(socket, "confirm");
    const answer = ask(server.port, { event: "confirm", data: null, timeout: "1m" });
    await asked;
    await server.stop();
    const { status, json } = await answer;
    expect([status, json.error.code]).toEqual([503, "SERVER_CLOSED"]);
  });
});
