import { describe, expect, test } from "vitest";
import { bystander } from "../support/bystander.ts";
import { describeUser, send, sendAll } from "../support/http.ts";
import { numbered } from "../support/order.ts";
import { shared } from "../support/owned.ts";
import { TestServer } from "../support/server.ts";
import { registeredSpeaker, type Speaker } from "../support/speaker.ts";
import { until } from "../support/wait.ts";
import { readMessages, wireClient } from "../support/wire-client.ts";

// Clients that claim what is not so, of their own place or of somebody else's. It hurts nobody but themselves.

const server = shared(() => TestServer.start());

const MEBIBYTE = 1_048_576;

let users = 0;
const newUser = (): string => `claims${++users}`;

const INVALID_ACK = { ok: false, error: { code: "INVALID_ACK" } };

const countMessages = ({ heard }: Speaker): number => heard.filter(([name]) => name === "usercast:message").length;

/** How far the connections of a device have confirmed. */
async function confirmedBy(user: string, device: string): Promise<readonly number[]> {
  const { connections } = await describeUser(server(), user);
  return connections.filter((one) => one.device === device).map(({ confirmed }) => confirmed);
}

describe("confirmations", () => {
  test("out of order count up to the highest, and never go back", async () => {
    const user = newUser();
    const me = await registeredSpeaker(server(), user);
    await sendAll(server(), user, numbered("m", 10));
    await until("all came", () => countMessages(me) === 10);
    for (const [offset, confirmed] of [
      [4, 4],
      [2, 4],
      [9, 9],
      [4, 9],
      [0, 9],
      [9, 9],
    ]) {
      expect(await me.ask("usercast:ack", offset)).toEqual({ ok: true });
      expect(await confirmedBy(user, "laptop")).toEqual([confirmed]);
    }
    me.socket.disconnect();
    const next = await registeredSpeaker(server(), user, { session: "tab-2" });
    await until("what was not confirmed comes again", () => countMessages(next) === 1);
    expect(next.heard.at(-1)?.slice(2)).toEqual([expect.objectContaining({ offset: 10 }), "message", expect.any(String)]);
  });

  test("far ahead are refused, and what comes there later is delivered and not confirmed", async () => {
    const user = newUser();
    const me = await registeredSpeaker(server(), user);
    for (const offset of [1, 50, 1_000_000]) expect(await me.ask("usercast:ack", offset)).toMatchObject(INVALID_ACK);
    await sendAll(server(), user, numbered("m", 50));
    await until("all came", () => countMessages(me) === 50);
    expect(await confirmedBy(user, "laptop")).toEqual([0]);
  });

  test("of a place in another life of the mailbox are refused", async () => {
    const user = newUser();
    const position = { epoch: "another", offset: 40, at: 1 };
    const me = await registeredSpeaker(server(), user, { position });
    await me.hears("usercast:missed");
    await send(server(), user, "one");
    await until("it came", () => countMessages(me) === 1);
    expect(await me.ask("usercast:ack", 40)).toMatchObject(INVALID_ACK);
    expect(await confirmedBy(user, "laptop")).toEqual([0]);
    expect(await me.ask("usercast:ack", 1)).toEqual({ ok: true });
  });

  test("in a flood cost nobody anything and move nothing they should not", async () => {
    const calm = await bystander(server());
    const user = newUser();
    const me = await registeredSpeaker(server(), user);
    const other = await registeredSpeaker(server(), user, { device: "phone" });
    await sendAll(server(), user, numbered("m", 5));
    await until("all came", () => countMessages(me) === 5);
    for (let i = 0; i < 10_000; i++) me.socket.emit("usercast:ack", i % 2 === 0 ? i % 4 : 1_000 + i);
    await calm.notices();
    expect(await me.ask("usercast:ack", 0)).toEqual({ ok: true });
    expect(await confirmedBy(user, "laptop")).toEqual([2]);
    expect(await confirmedBy(user, "phone")).toEqual([0]);
    await sendAll(server(), user, numbered("after", 5));
    for (const one of [me, other]) await until("the stream goes on", () => countMessages(one) === 10);
    await calm.notices();
  });

  test("of everything by a client that reads nothing let no more pile up than congestion allows", async () => {
    const calm = await bystander(server());
    const user = newUser();
    const greedy = await wireClient(server(), user, "greedy");
    const restingBytes = server().memoryBytes;
    let mostBytes = 0;
    greedy.pause();
    const mailbox = await sendAll(server(), user, numbered("x".repeat(4_000), 3_000), {
      concurrency: 16,
      onAccepted: (count) => {
        greedy.send(`42["usercast:ack",${count}]`);
        if (count % 100 === 0) mostBytes = Math.max(mostBytes, server().memoryBytes);
      },
    });
    await calm.notices();
    const [connection] = (await describeUser(server(), user)).connections;
    // What the kernel takes on both sides of a socket, and the server's own share: far from the 12 MB that were accepted.
    expect(connection?.sent).toBeLessThan(mailbox.length);
    expect(mostBytes).toBeLessThan(restingBytes + 128 * MEBIBYTE);
    greedy.resume();
    expect(await readMessages(greedy, mailbox.length)).toEqual(mailbox);
    await calm.notices();
  });
});

test("who claims the device of another user gets nothing of theirs, and moves nothing of theirs", async () => {
  const [ana, mallory] = [newUser(), newUser()];
  const laptop = await registeredSpeaker(server(), ana, { device: "anas-laptop" });
  const { epoch, at } = await send(server(), ana, "one");
  await until("it came", () => countMessages(laptop) === 1);
  laptop.socket.disconnect();
  const thief = await registeredSpeaker(server(), mallory, { device: "anas-laptop", position: { epoch, offset: 1, at } });
  expect(await thief.hears("usercast:missed")).toEqual([expect.any(String), expect.objectContaining({ reason: "epoch" })]);
  expect(await thief.ask("usercast:ack", 1)).toMatchObject(INVALID_ACK);
  await send(server(), mallory, "to mallory");
  await until("the thief has it", () => countMessages(thief) === 1);
  expect(await thief.ask("usercast:ack", 1)).toEqual({ ok: true });
  thief.socket.disconnect();

  const back = await registeredSpeaker(server(), ana, { device: "anas-laptop", session: "tab-2" });
  await until("what was not confirmed comes again", () => countMessages(back) === 1);
  expect(thief.heard.filter(([name]) => name === "usercast:message").map(([, , , , data]) => data)).toEqual(["to mallory"]);
});

describe("idempotency keys", () => {
  const request = (key: unknown): object => ({ to: "bo", event: "message", data: 1, key });

  test.each(["", "x".repeat(256), "é", "a\nb", "\u0000", 7, null, {}])("a key %j over a socket is refused", async (key) => {
    const { ask } = await registeredSpeaker(server(), newUser());
    expect(await ask("usercast:send", request(key))).toMatchObject({ ok: false, error: { code: "INVALID_IDEMPOTENCY_KEY" } });
  });

  test("a key of 100 kB over a socket is refused, and one of 1 MB ends its own connection", async () => {
    const calm = await bystander(server());
    const me = await registeredSpeaker(server(), newUser());
    const refused = { ok: false, error: { code: "INVALID_IDEMPOTENCY_KEY" } };
    expect(await me.ask("usercast:send", request("x".repeat(100_000)))).toMatchObject(refused);
    me.socket.emit("usercast:send", request("x".repeat(MEBIBYTE)));
    await until("the connection has ended", () => !me.socket.connected);
    await calm.notices();
  });

  test("a key over HTTP that is too long is refused, and so is a header of 1 MB", async () => {
    const calm = await bystander(server());
    expect(await send(server(), newUser(), 1, { key: "x".repeat(256) })).toMatchObject({
      status: 400,
      error: { code: "INVALID_IDEMPOTENCY_KEY" },
    });
    const tooLarge = await fetch(`${server().url}/v1/users/${newUser()}/messages`, {
      method: "POST",
      headers: { "content-type": "application/json", "idempotency-key": "x".repeat(MEBIBYTE) },
      body: '{"data":1}',
    }).then(
      ({ status }) => status,
      // The server ends the connection while the header is still being written.
      () => 431,
    );
    expect(tooLarge).toBe(431);
    await calm.notices();
  });
});

describe("times to live", () => {
  const DAY_MS = 86_400_000;
  const BAD = [0, -1, 1.5, 366 * DAY_MS + 1, Number.MAX_SAFE_INTEGER, "0s", "-1s", "367d", "1", "", " 1s", "soon"] as const;

  test.each(BAD)("a time to live of %j is refused over HTTP and over a socket", async (ttl) => {
    const user = newUser();
    expect(await send(server(), user, 1, { ttl })).toMatchObject({ status: 400, error: { code: "INVALID_TTL" } });
    const { ask } = await registeredSpeaker(server(), newUser());
    const answer = await ask("usercast:send", { to: user, event: "message", data: 1, key: "k", ttl });
    expect(answer).toMatchObject({ ok: false, error: { code: "INVALID_TTL" } });
    expect(await send(server(), user, "the first", { ttl: 366 * DAY_MS })).toMatchObject({ status: 201, offset: 1 });
  });
});
