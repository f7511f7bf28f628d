import { describe, expect, test } from "vitest";
import { connectionCount, describeUser, send, sendAll } from "../support/http.ts";
import { expectInOrderAtLeastOnce, numbered } from "../support/order.ts";
import { owned, shared } from "../support/owned.ts";
import { LIBRARIES, NEWEST, type PlainClient, plainClient, registeredClient, TRANSPORTS } from "../support/plain.ts";
import { steadyPort, TestServer } from "../support/server.ts";
import { TcpProxy } from "../support/tcp-proxy.ts";
import { until } from "../support/wait.ts";

// Untouched Socket.IO clients of every generation, written as people write them: register at connect, listen to message.

const server = shared(() => TestServer.start());

let users = 0;
const newUser = (): string => `user${++users}`;

describe.each(LIBRARIES)("socket.io-client $version", (library) => {
  test.each(Object.entries(TRANSPORTS))("receives what is sent to its user, over %s", async (_, options) => {
    const user = newUser();
    const { received } = await registeredClient(library, server(), user, options);
    expect(await send(server(), user, "hi")).toMatchObject({ status: 201, state: "pushed", offset: 1 });
    expect(await send(server(), user, { text: "é✓", list: [1, null] })).toMatchObject({ state: "pushed", offset: 2 });
    await until("both came", () => received().length === 2);
    expect(received()).toEqual(["hi", { text: "é✓", list: [1, null] }]);
  });

  test.each(Object.entries(TRANSPORTS))("is given what was sent before it registered, over %s", async (_, options) => {
    const user = newUser();
    const messages = numbered("early", 20);
    for (const message of messages) expect(await send(server(), user, message)).toMatchObject({ state: "queued" });
    const { received } = plainClient(library, server().url, user, options);
    await until("all came", () => received().length === messages.length);
    expect(received()).toEqual(messages);
  });

  test("learns from an acknowledgement that it is registered, and why it is not", async () => {
    const user = newUser();
    const { socket, received } = await registeredClient(library, server(), user);
    const register = (id: unknown): Promise<unknown> => new Promise((resolve) => socket.emit("register", id, resolve));
    expect(await register(user)).toEqual({ ok: true, userId: user });
    expect(await register("")).toMatchObject({ ok: false, error: { code: "INVALID_USER_ID" } });
    expect((await describeUser(server(), user)).connections).toHaveLength(1);
    await send(server(), user, "still here");
    await until("the message came", () => received().length === 1);
  });

  test("gets a stream once and in order while it moves from polling to WebSocket", async () => {
    const user = newUser();
    const proxy = owned(await TcpProxy.start(server().port, /^upgrade: *websocket/im));
    const client = await registeredClient(library, server(), user, { url: proxy.url });
    let streaming = true;
    const messages = (function* (): Iterable<string> {
      for (let i = 1; streaming && i <= 5_000; i++) yield `streamed ${i}`;
    })();
    const stream = sendAll(server(), user, messages, { concurrency: 4 });
    await until("the stream flows over polling", () => client.received().length >= 50 && proxy.held === 1);
    expect(client.transport()).toBe("polling");
    proxy.release();
    await until("the client has moved", () => client.transport() === "websocket");
    const moved = client.received().length;
    await until("the stream flows over WebSocket", () => client.received().length >= moved + 50);
    streaming = false;
    const mailbox = await stream;
    await until("all came", () => client.received().length >= mailbox.length);
    expect(client.connections).toEqual([mailbox]);
  });
});

test("a thousand messages reach every version over every transport, once and in order", async () => {
  const user = newUser();
  const ways = LIBRARIES.flatMap((library) => Object.values(TRANSPORTS).map((options) => ({ library, options })));
  const clients: PlainClient[] = [];
  for (const { library, options } of ways) clients.push(plainClient(library, server().url, user, options));
  await until("all are registered", async () => (await connectionCount(server(), user)) === ways.length);
  const mailbox = await sendAll(server(), user, numbered("many", 1_000));
  for (const { received } of clients) {
    await until("all came", () => received().length >= mailbox.length);
    expect(received()).toEqual(mailbox);
  }
});

test("every socket of a user receives; closing one leaves the others; the last one gone is offline", async () => {
  const user = newUser();
  const first = await registeredClient(NEWEST, server(), user);
  const second = await registeredClient(NEWEST, server(), user, { transports: ["polling"], count: 2 });
  await send(server(), user, "to both");
  await until("both have it", () => first.received().length === 1 && second.received().length === 1);

  first.socket.disconnect();
  await until("one is left", async () => (await connectionCount(server(), user)) === 1);
  expect(await send(server(), user, "to one")).toMatchObject({ state: "pushed" });
  await until("the other has it", () => second.received().length === 2);
  expect((await describeUser(server(), user)).online).toBe(true);

  second.socket.disconnect();
  await until("the user is offline", async () => !(await describeUser(server(), user)).online);
  expect(await send(server(), user, "to nobody")).toMatchObject({ state: "queued" });

  first.socket.connect();
  await until("it came with the next socket", () => first.received().includes("to nobody"));
  // The first socket's own place is that of all plain ones: what it did not see may come again, what it saw comes in order.
  expectInOrderAtLeastOnce([...second.connections, first.connections[1] ?? []], ["to both", "to one", "to nobody"]);
});

test("a client that registers as someone else receives for that user only", async () => {
  const [ana, bo] = [newUser(), newUser()];
  const { socket, received } = await registeredClient(NEWEST, server(), ana);
  socket.emit("register", bo);
  await until("bo has a connection", async () => (await connectionCount(server(), bo)) === 1);
  expect((await describeUser(server(), ana)).online).toBe(false);
  expect(await send(server(), ana, "to ana")).toMatchObject({ state: "queued" });
  await send(server(), bo, "to bo");
  await until("the message came", () => received().length > 0);
  expect(received()).toEqual(["to bo"]);
});

test("what lies in the mailbox survives a stop and a kill -9, and reaches the next client", async () => {
  const user = newUser();
  const own = owned(await TestServer.start({ port: await steadyPort() }));
  await send(own, user, "before the stop");
  expect(await own.stop()).toBe(0);
  await own.restart();
  await send(own, user, "before the kill");
  await own.kill();
  await own.restart();
  await send(own, user, "after");
  const { received } = plainClient(NEWEST, own.url, user);
  await until("all came", () => received().length === 3);
  expect(received()).toEqual(["before the stop", "before the kill", "after"]);
});
