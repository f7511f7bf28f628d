import { describe, expect, test } from "vitest";
import { type Addressed, connectionCount, describeUser, send, sendAll } from "../support/http.ts";
import { expectInOrderAtLeastOnce, numbered } from "../support/order.ts";
import { owned, shared } from "../support/owned.ts";
import { LIBRARIES, NEWEST, plainClient, registeredClient } from "../support/plain.ts";
import { RawWebSocket } from "../support/raw-websocket.ts";
import { steadyPort, TestServer } from "../support/server.ts";
import { TcpProxy } from "../support/tcp-proxy.ts";
import { until } from "../support/wait.ts";

// What becomes of messages to untouched clients when networks misbehave. A heartbeat is their only confirmation.

const server = shared(() => TestServer.start());

let users = 0;
const newUser = (): string => `loss${++users}`;

const oneHasConfirmed = (where: Addressed, user: string, count: number): Promise<unknown> =>
  until(`one has confirmed ${count}`, async () => {
    return (await describeUser(where, user)).connections.some(({ confirmed }) => confirmed === count);
  });

describe.each(LIBRARIES)("socket.io-client $version", (library) => {
  test.each(["websocket", "polling"])(
    "over %s, what a dead network swallowed comes with the next connection",
    async (transport) => {
      const user = newUser();
      const proxy = owned(await TcpProxy.start(server().port));
      const client = await registeredClient(library, server(), user, { url: proxy.url, transports: [transport] });
      await send(server(), user, "seen");
      await until("the first came", () => client.received().length === 1);
      proxy.swallow();
      const lost = numbered("lost", 5);
      for (const message of lost) expect(await send(server(), user, message)).toMatchObject({ state: "pushed" });
      await until("it was written", () => proxy.swallowed.includes("lost 1"));
      expect(client.received()).toEqual(["seen"]);
      proxy.cut();
      await until("all came", () => client.received().includes("lost 5"));
      expectInOrderAtLeastOnce(client.connections, ["seen", ...lost]);
    },
  );

  test("a stream that a dead network swallows at some point is complete after the next connection", async () => {
    const user = newUser();
    const proxy = owned(await TcpProxy.start(server().port));
    const client = await registeredClient(library, server(), user, { url: proxy.url, transports: ["websocket"] });
    const mailbox = await sendAll(server(), user, numbered("streamed", 400), {
      onAccepted: (count) => {
        if (count === 150) proxy.swallow();
        if (count === 250) proxy.cut();
      },
    });
    await until("all came", () => new Set(client.received()).size === mailbox.length);
    expect(client.connections).toHaveLength(2);
    expectInOrderAtLeastOnce(client.connections, mailbox);
  });
});

test("an upgrade that breaks off loses nothing, wherever it was", async () => {
  for (let delayMs = 0; delayMs < 12; delayMs++) {
    const user = newUser();
    const proxy = owned(await TcpProxy.start(server().port, /^upgrade: *websocket/im));
    const client = await registeredClient(NEWEST, server(), user, { url: proxy.url });
    await until("the client wants to move", () => proxy.held === 1);
    const mailbox = await sendAll(server(), user, numbered("m", 120), {
      onAccepted: (count) => {
        if (count !== 40) return;
        proxy.release();
        setTimeout(() => proxy.cut(), delayMs);
      },
    });
    // A client whose upgrade broke at a bad moment hangs until its heartbeat is due, so it is not left to come back by itself.
    client.socket.disconnect();
    client.socket.connect();
    await until("all came", () => {
      proxy.release();
      return new Set(client.received()).size === mailbox.length;
    });
    expectInOrderAtLeastOnce(client.connections, mailbox);
  }
});

test.each(["stop", "kill"] as const)("what a dead network swallowed comes after a %s of the server, too", async (end) => {
  const own = owned(await TestServer.start({ port: await steadyPort() }));
  const proxy = owned(await TcpProxy.start(own.port));
  const options = { transports: ["websocket"] };
  const hangs = await registeredClient(NEWEST, own, "ana", { ...options, url: proxy.url });
  const well = await registeredClient(NEWEST, own, "ana", { ...options, count: 2 });
  const allConfirmed = (count: number): Promise<unknown> =>
    until(`one has confirmed ${count}`, async () => {
      return (await describeUser(own, "ana")).connections.some(({ confirmed }) => confirmed === count);
    });
  await send(own, "ana", "seen");
  await allConfirmed(1);
  proxy.swallow();
  const lost = numbered("lost", 5);
  for (const message of lost) expect(await send(own, "ana", message)).toMatchObject({ state: "pushed" });
  await allConfirmed(6);
  if (end === "kill") await own.kill();
  else expect(await own.stop()).toBe(0);
  await own.restart();
  proxy.cut();
  await until("all came", () => hangs.received().includes("lost 5"));
  expectInOrderAtLeastOnce(hangs.connections, ["seen", ...lost]);
  expectInOrderAtLeastOnce(well.connections, ["seen", ...lost]);
});

test("a client that hangs holds up no other, and is given everything when it comes back", async () => {
  const user = newUser();
  const proxy = owned(await TcpProxy.start(server().port));
  const well = await registeredClient(NEWEST, server(), user, { transports: ["websocket"] });
  const hangs = await registeredClient(NEWEST, server(), user, { url: proxy.url, transports: ["websocket"], count: 2 });
  proxy.swallow();
  const mailbox = await sendAll(server(), user, numbered("m", 20));
  await until("the other has all", () => well.received().length === mailbox.length, 2_000);
  await until("the other has confirmed all", async () => {
    return (await describeUser(server(), user)).connections.some(({ confirmed }) => confirmed === mailbox.length);
  });
  proxy.cut();
  await until("it has all, too", () => hangs.received().length >= mailbox.length);
  expectInOrderAtLeastOnce(hangs.connections, mailbox);
  expect(well.connections).toEqual([mailbox]);
});

test("a new client is given what one that still hangs was sent", async () => {
  const user = newUser();
  const proxy = owned(await TcpProxy.start(server().port));
  await registeredClient(NEWEST, server(), user, { url: proxy.url, transports: ["websocket"] });
  proxy.swallow();
  const mailbox = await sendAll(server(), user, numbered("m", 5));
  const next = await registeredClient(NEWEST, server(), user, { count: 2 });
  await until("it has all", () => next.received().length >= mailbox.length);
  expect(next.received()).toEqual(mailbox);
});

test("two clients that the same network left are both given everything, also when one comes back much later", async () => {
  const user = newUser();
  const proxy = owned(await TcpProxy.start(server().port));
  const options = { url: proxy.url, transports: ["websocket"], reconnection: false };
  const first = await registeredClient(NEWEST, server(), user, options);
  const second = await registeredClient(NEWEST, server(), user, { ...options, count: 2 });
  proxy.swallow();
  const mailbox = await sendAll(server(), user, numbered("m", 5));
  proxy.cut();
  await until("both are gone", async () => (await connectionCount(server(), user)) === 0);
  await until("both have noticed", () => !first.socket.connected && !second.socket.connected);
  first.socket.connect();
  await until("the first has all", () => first.received().length >= mailbox.length);
  await until("the first has confirmed all", async () => {
    return (await describeUser(server(), user)).connections.every(({ confirmed }) => confirmed === mailbox.length);
  });
  second.socket.connect();
  await until("the second has all", () => second.received().length >= mailbox.length, 5_000);
  expectInOrderAtLeastOnce(second.connections, mailbox);
});

test("of two clients that broke at different places, the first one back does not take what the other is owed", async () => {
  const user = newUser();
  const proxies = [owned(await TcpProxy.start(server().port)), owned(await TcpProxy.start(server().port))] as const;
  const options = { transports: ["websocket"], reconnection: false };
  const behind = await registeredClient(NEWEST, server(), user, { ...options, url: proxies[0].url });
  const ahead = await registeredClient(NEWEST, server(), user, { ...options, url: proxies[1].url, count: 2 });
  proxies[0].swallow();
  const mailbox = [...(await sendAll(server(), user, numbered("to one", 5)))];
  await oneHasConfirmed(server(), user, 5);
  proxies[1].swallow();
  mailbox.push(...(await sendAll(server(), user, numbered("to none", 5))));
  for (const proxy of proxies) proxy.cut();
  await until("both are gone", async () => (await connectionCount(server(), user)) === 0);
  await until("both have noticed", () => !ahead.socket.connected && !behind.socket.connected);
  ahead.socket.connect();
  await oneHasConfirmed(server(), user, 10);
  behind.socket.connect();
  await until("the one that was behind has the last", () => behind.received().includes(mailbox.at(-1)));
  expectInOrderAtLeastOnce(behind.connections, mailbox);
  expectInOrderAtLeastOnce(ahead.connections, mailbox);
});

test("after a kill, too, the first one back does not take what another is owed", async () => {
  const own = owned(await TestServer.start({ port: await steadyPort() }));
  const proxy = owned(await TcpProxy.start(own.port));
  const options = { transports: ["websocket"], reconnection: false };
  const behind = await registeredClient(NEWEST, own, "ana", { ...options, url: proxy.url });
  const ahead = await registeredClient(NEWEST, own, "ana", { ...options, count: 2 });
  await send(own, "ana", "seen");
  await until("both have confirmed it", async () => {
    return (await describeUser(own, "ana")).connections.every(({ confirmed }) => confirmed === 1);
  });
  proxy.swallow();
  const mailbox = ["seen", ...(await sendAll(own, "ana", numbered("to one", 5)))];
  await oneHasConfirmed(own, "ana", 6);
  await own.kill();
  await own.restart();
  proxy.cut();
  await until("both have noticed", () => !ahead.socket.connected && !behind.socket.connected);
  ahead.socket.connect();
  await oneHasConfirmed(own, "ana", 6);
  behind.socket.connect();
  await until("the one that was behind has the last", () => behind.received().includes(mailbox.at(-1)));
  expectInOrderAtLeastOnce(behind.connections, mailbox);
});

test("a network that stalls and recovers costs nothing", async () => {
  const user = newUser();
  const proxy = owned(await TcpProxy.start(server().port));
  const client = await registeredClient(NEWEST, server(), user, { url: proxy.url, transports: ["websocket"] });
  proxy.stall();
  const mailbox = await sendAll(server(), user, numbered("stalled", 600));
  expect(client.received()).toEqual([]);
  proxy.resume();
  await until("all came", () => client.received().length >= mailbox.length);
  expect(client.connections).toEqual([mailbox]);
});

test.each(["client", "server"] as const)("a connection that ends towards the %s alone loses nothing", async (side) => {
  const user = newUser();
  const proxy = owned(await TcpProxy.start(server().port));
  const client = await registeredClient(NEWEST, server(), user, { url: proxy.url, transports: ["websocket"] });
  const mailbox = await sendAll(server(), user, numbered("m", 200), {
    onAccepted: (count) => {
      if (count === 100) proxy.halfClose(side);
    },
  });
  await until("all came", () => new Set(client.received()).size === mailbox.length);
  expect(client.connections).toHaveLength(2);
  expectInOrderAtLeastOnce(client.connections, mailbox);
});

test("what a heartbeat has confirmed does not come again", async () => {
  const user = newUser();
  const proxy = owned(await TcpProxy.start(server().port));
  const client = await registeredClient(NEWEST, server(), user, { url: proxy.url });
  await send(server(), user, "one");
  await until("it is confirmed", async () => (await describeUser(server(), user)).connections[0]?.confirmed === 1);
  proxy.cut();
  await until("the client is back", () => client.connections.length === 2);
  await send(server(), user, "two");
  await until("the second came", () => client.received().length > 1);
  expect(client.connections).toEqual([["one"], ["two"]]);
});

test("in Engine.IO 3, where only clients ping, a ping confirms what was written before the last pong", async () => {
  const user = newUser();
  const raw = owned(await RawWebSocket.connect(server().port, "/socket.io/?EIO=3&transport=websocket"));
  raw.send(`42["register",${JSON.stringify(user)}]`);
  await until("it is registered", async () => (await connectionCount(server(), user)) === 1);
  await send(server(), user, "one");
  await raw.next((text) => text === '42["message","one"]');
  const confirmed = async (): Promise<number | undefined> => (await describeUser(server(), user)).connections[0]?.confirmed;
  raw.send("2");
  await raw.next((text) => text === "3");
  // That ping may have been under way before the message was: it proves nothing.
  expect(await confirmed()).toBe(0);
  await send(server(), user, "two");
  await raw.next((text) => text === '42["message","two"]');
  raw.send("2");
  await raw.next((text) => text === "3");
  expect(await confirmed()).toBe(1);
  raw.close();
  await until("it is gone", async () => (await connectionCount(server(), user)) === 0);
  const next = plainClient(LIBRARIES[0] ?? NEWEST, server().url, user);
  await until("what was not confirmed came again", () => next.received().length === 1);
  expect(next.received()).toEqual(["two"]);
});
