import { expect, test } from "vitest";
import { send, sendAll } from "../support/http.ts";
import { expectInOrderAtLeastOnce, numbered } from "../support/order.ts";
import { owned, shared } from "../support/owned.ts";
import { PythonClient } from "../support/python.ts";
import { TestServer } from "../support/server.ts";
import { TcpProxy } from "../support/tcp-proxy.ts";
import { until } from "../support/wait.ts";

// Debian's python3-socketio, untouched.

const server = shared(() => TestServer.start());

const TRANSPORTS = [
  { name: "WebSocket", transports: ["websocket"] },
  { name: "polling", transports: ["polling"] },
  { name: "its default transports", transports: [] },
];

test.each(TRANSPORTS)("receives what was sent before and after it registered, over $name", async ({ name, transports }) => {
  const user = `python ${name}`;
  await send(server(), user, "early");
  const client = await PythonClient.start(server().url, user, { transports });
  expect(client.registrations).toEqual([{ ok: true, userId: user }]);
  // One after the other, because the library gives each packet to a thread of its own.
  await until("the first came", () => client.received.length === 1);
  expect(await send(server(), user, { text: "é✓", list: [1, null] })).toMatchObject({ state: "pushed" });
  await until("the second came", () => client.received.length === 2);
  expect(client.received).toEqual(["early", { text: "é✓", list: [1, null] }]);
});

test.each(TRANSPORTS)("a thousand messages come once and in order, over $name", async ({ name, transports }) => {
  const user = `python stream ${name}`;
  const client = await PythonClient.start(server().url, user, { transports, inOrder: true });
  const mailbox = await sendAll(server(), user, numbered("many", 1_000));
  await until("all came", () => client.received.length >= mailbox.length);
  expect(client.connections).toEqual([mailbox]);
});

test.each(TRANSPORTS)("catches up with a full mailbox, over $name", async ({ name, transports }) => {
  const user = `python mailbox ${name}`;
  const mailbox = await sendAll(server(), user, numbered("stored", 200));
  const client = await PythonClient.start(server().url, user, { transports, inOrder: true });
  await until("all came", () => client.received.length >= mailbox.length, 10_000);
  expect(client.connections).toEqual([mailbox]);
});

test("what a dead network swallowed comes with the next connection", async () => {
  const user = "python swallowed";
  const proxy = owned(await TcpProxy.start(server().port));
  const client = await PythonClient.start(proxy.url, user, { transports: ["websocket"], inOrder: true });
  await send(server(), user, "seen");
  await until("the first came", () => client.received.length === 1);
  proxy.swallow();
  const lost = numbered("lost", 5);
  for (const message of lost) expect(await send(server(), user, message)).toMatchObject({ state: "pushed" });
  await until("they were written", () => proxy.swallowed.includes("lost 5"));
  proxy.cut();
  await until("all came", () => client.received.includes("lost 5"));
  expectInOrderAtLeastOnce(client.connections, ["seen", ...lost]);
});
