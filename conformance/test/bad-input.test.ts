import { describe, expect, test } from "vitest";
import { type Bystander, bystander } from "../support/bystander.ts";
import { describeUser, send, sendAll } from "../support/http.ts";
import { owned, shared } from "../support/owned.ts";
import { NEWEST, plainClient } from "../support/plain.ts";
import { TestServer } from "../support/server.ts";
import { hello, registeredSpeaker, speaker } from "../support/speaker.ts";
import { until } from "../support/wait.ts";

// What people and programs get wrong, by mistake or on purpose: each gets a stable code, and nobody else notices.

const server = shared(() => TestServer.start());

let users = 0;
const newUser = (): string => `bad${++users}`;

const TOO_LONG = "x".repeat(513);
const BAD_IDS: readonly unknown[] = ["", "a\u0000b", "a\u0085b", TOO_LONG, "\ud800", 1.5, 2 ** 53, null, true, {}, ["ana"]];

describe("over HTTP", () => {
  const post = async (path: string, body: string, headers: Readonly<Record<string, string>> = {}): Promise<unknown[]> => {
    const response = await fetch(`${server().url}${path}`, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body,
    });
    const { error } = (await response.json()) as { readonly error?: { readonly code: string } };
    return [response.status, error?.code];
  };

  test.each(["", "%00", "%C2%85", "%ED%A0%80", "%E0%A4", "%", TOO_LONG])("a user id %j is refused", async (id) => {
    expect(await post(`/v1/users/${id}/messages`, '{"data":1}')).toEqual([400, "INVALID_USER_ID"]);
  });

  test.each(["__proto__", "a/b", "é✓", "%2e", " "])("a user id %j is like any other", async (id) => {
    const { received } = plainClient(NEWEST, server().url, id);
    expect(await send(server(), id, "hi")).toMatchObject({ status: 201, userId: id });
    await until("it came", () => received().length > 0);
    expect(received()).toEqual(["hi"]);
  });

  test.each([
    ["malformed JSON", '{"data":', {}, 400, "MALFORMED_JSON"],
    ["an unknown field", '{"data":1,"to":"bo"}', {}, 400, "INVALID_REQUEST"],
    ["no data", "{}", {}, 400, "INVALID_REQUEST"],
    ["an empty event", '{"data":1,"event":""}', {}, 400, "INVALID_EVENT"],
    ["an event of ours", '{"data":1,"event":"usercast:message"}', {}, 400, "RESERVED_EVENT"],
    ["an event of Socket.IO's", '{"data":1,"event":"connect"}', {}, 400, "RESERVED_EVENT"],
    ["a ttl that is no time", '{"data":1,"ttl":"soon"}', {}, 400, "INVALID_TTL"],
    ["another content type", '{"data":1}', { "content-type": "text/plain" }, 415, "UNSUPPORTED_MEDIA_TYPE"],
    ["an oversized message", JSON.stringify({ data: "x".repeat(65_536) }), {}, 413, "PAYLOAD_TOO_LARGE"],
    ["a key on a signal", '{"data":1,"volatile":true}', { "idempotency-key": "k" }, 400, "IDEMPOTENCY_KEY_ON_VOLATILE"],
    ["a foreign origin", '{"data":1}', { origin: "http://example.com" }, 403, "ORIGIN_NOT_ALLOWED"],
    ["the origin null", '{"data":1}', { origin: "null" }, 403, "ORIGIN_NOT_ALLOWED"],
  ] as const)("%s is refused", async (_, body, headers, status, code) => {
    expect(await post(`/v1/users/${newUser()}/messages`, body, headers)).toEqual([status, code]);
  });

  test("a key is refused for other content, and for nothing else", async () => {
    const user = newUser();
    expect(await send(server(), user, "one", { key: "k" })).toMatchObject({ status: 201, offset: 1 });
    expect(await send(server(), user, "one", { key: "k" })).toMatchObject({ status: 200, state: "duplicate", offset: 1 });
    expect(await send(server(), user, "two", { key: "k" })).toMatchObject({
      status: 409,
      error: { code: "IDEMPOTENCY_CONFLICT" },
    });
    expect(await send(server(), newUser(), "two", { key: "k" })).toMatchObject({ status: 201 });
  });

  test("data that is nested deeper than any stack harms nobody", async () => {
    const calm = await bystander(server());
    const user = newUser();
    const client = plainClient(NEWEST, server().url, user);
    const [status] = await post(`/v1/users/${user}/messages`, `{"data":${"[".repeat(30_000)}${"]".repeat(30_000)}}`);
    expect([201, 400]).toContain(status);
    await send(server(), user, "after");
    await until("what follows came", () => client.received().at(-1) === "after");
    expect(client.connections).toHaveLength(1);
    await calm.notices();
  });
});

describe("over a socket", () => {
  test("ids that are none are refused with a code, whether an answer is asked for or not", async () => {
    const { socket, ask } = speaker(server());
    for (const id of BAD_IDS) {
      socket.emit("register", id);
      const answer = await ask("register", id);
      expect(answer).toMatchObject({ ok: false });
      expect(["INVALID_USER_ID", "RATE_LIMITED"]).toContain((answer as { error: { code: string } }).error.code);
    }
    socket.emit("register");
    expect(socket.connected).toBe(true);
  });

  test("a flood of registrations is answered, bounded, and troubles nobody", async () => {
    const calm = await bystander(server());
    const { socket, ask } = speaker(server());
    for (let i = 0; i < 20_000; i++) socket.emit("register", `flood ${i}`);
    await calm.notices();
    expect(await ask("register", "flood")).toMatchObject({ ok: false, error: { code: "RATE_LIMITED" } });
    expect((await describeUser(server(), "flood 19999")).online).toBe(false);
    await until("the flood has passed", async () => ((await ask("register", "calm")) as { ok: boolean }).ok);
    expect((await describeUser(server(), "calm")).online).toBe(true);
  });

  test.each([
    ["a device called plain", hello({ device: "plain" }), "INVALID_DEVICE"],
    ["a device with other characters", hello({ device: "a b" }), "INVALID_DEVICE"],
    ["a device that is too long", hello({ device: "d".repeat(65) }), "INVALID_DEVICE"],
    ["no session", hello({ session: undefined }), "INVALID_DEVICE"],
    ["a version from the future", hello({ v: 2 }), "INVALID_REQUEST"],
    ["something that is no object", { usercast: "hello" }, "INVALID_REQUEST"],
    ["a negative position", hello({ position: { epoch: "e", offset: -1, at: 0 } }), "INVALID_POSITION"],
    ["a fractional position", hello({ position: { epoch: "e", offset: 1.5, at: 0 } }), "INVALID_POSITION"],
    ["a position without a time", hello({ position: { epoch: "e", offset: 1 } }), "INVALID_POSITION"],
    ["a position in text", hello({ position: "17" }), "INVALID_POSITION"],
  ])("a handshake with %s is refused for good", async (_, auth, code) => {
    const { socket, hears } = speaker(server(), auth);
    expect(await hears("usercast:closing")).toEqual(["", { code, message: expect.any(String), reconnect: false }]);
    await until("the connection has ended", () => !socket.connected);
  });

  const CLAIMS = [
    ["beyond the head", (epoch: string) => ({ epoch, offset: 1_000, at: 1 }), "rewound"],
    ["of another epoch", () => ({ epoch: "another", offset: 2, at: 1 }), "epoch"],
    ["at a time the log contradicts", (epoch: string) => ({ epoch, offset: 2, at: 1 }), "rewound"],
  ] as const;

  test.each(CLAIMS)("a position %s is told as missed, and hurts only who claims it", async (_, claim, reason) => {
    const user = newUser();
    const honest = plainClient(NEWEST, server().url, user);
    const mailbox = await sendAll(server(), user, ["one", "two", "three"], { concurrency: 1 });
    const { epoch = "" } = await send(server(), user, "four");
    const liar = await registeredSpeaker(server(), user, { position: claim(epoch) });
    const [, missed] = await liar.hears("usercast:missed");
    expect(missed).toMatchObject({ after: claim(epoch).offset, reason });
    await until("it is given what there is", () => liar.heard.filter(([name]) => name === "usercast:message").length >= 4);
    await send(server(), user, "five");
    await until("the honest one has it", () => honest.received().length >= 5);
    expect(honest.received()).toEqual([...mailbox, "four", "five"]);
  });

  test("confirmations of what was never sent are refused, and move nothing", async () => {
    const user = newUser();
    const { ask } = await registeredSpeaker(server(), user);
    const other = await registeredSpeaker(server(), user, { device: "phone" });
    await send(server(), user, "one");
    await other.hears("usercast:message");
    for (const offset of [2, 1_000, -1, 0.5, "1", null, Number.MAX_SAFE_INTEGER, {}, undefined]) {
      expect(await ask("usercast:ack", offset)).toMatchObject({ ok: false, error: { code: "INVALID_ACK" } });
    }
    const { connections } = await describeUser(server(), user);
    expect(connections.map(({ confirmed }) => confirmed)).toEqual([0, 0]);
    expect(await ask("usercast:ack", 1)).toEqual({ ok: true });
    expect(await speaker(server()).ask("usercast:ack", 1)).toMatchObject({ ok: false, error: { code: "NOT_REGISTERED" } });
  });

  test.each([
    ["nothing", [], "INVALID_REQUEST"],
    ["a text", ["hi"], "INVALID_REQUEST"],
    ["no key", [{ to: "bo", event: "message", data: 1 }], "INVALID_IDEMPOTENCY_KEY"],
    ["nobody to send to", [{ event: "message", data: 1, key: "k" }], "INVALID_USER_ID"],
    ["an unknown field", [{ to: "bo", event: "message", data: 1, key: "k", from: "root" }], "INVALID_REQUEST"],
    ["an event of ours", [{ to: "bo", event: "usercast:message", data: 1, key: "k" }], "RESERVED_EVENT"],
    ["too much data", [{ to: "bo", event: "message", data: "x".repeat(65_536), key: "k" }], "PAYLOAD_TOO_LARGE"],
    ["a bad ttl", [{ to: "bo", event: "message", data: 1, key: "k", ttl: -1 }], "INVALID_TTL"],
  ])("a send of %s is refused", async (_, args, code) => {
    const { ask } = await registeredSpeaker(server(), newUser());
    expect(await ask("usercast:send", ...args)).toMatchObject({ ok: false, error: { code } });
  });

  test("a packet beyond all measure ends its own connection only", async () => {
    const calm: Bystander = await bystander(server());
    const { socket } = await registeredSpeaker(server(), newUser());
    socket.emit("anything", "x".repeat(2_000_000));
    await until("the connection has ended", () => !socket.connected);
    await calm.notices();
  });
});

test("a stop after all of this is an orderly one", async () => {
  const own = owned(await TestServer.start());
  const { socket } = await registeredSpeaker(own, "ana");
  socket.emit("register", {});
  expect(await own.stop()).toBe(0);
  await until("the client has noticed", () => !socket.connected);
});
