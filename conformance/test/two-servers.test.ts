import { expect, test } from "vitest";
import { describeUser, send, sendAll } from "../support/http.ts";
import { expectInOrderAtLeastOnce, numbered } from "../support/order.ts";
import { owned, shared } from "../support/owned.ts";
import { NEWEST, plainClient, registeredClient } from "../support/plain.ts";
import { RECONNECT } from "../support/reconnect.ts";
import { RedisServer } from "../support/redis.ts";
import { loadSdk, type SdkClient } from "../support/sdk.ts";
import { TestServer } from "../support/server.ts";
import { TcpProxy } from "../support/tcp-proxy.ts";
import { until, within } from "../support/wait.ts";

// Two servers on one Redis behave, for a client, like one: whatever is done on one shows on the other.

const redis = shared(() => RedisServer.start());
/** Short, so that a death is noticed while a test waits for it. */
const SOON = ["--lease-ms", "1500", "--presence-grace-ms", "0"];
const start = (redisUrl = redis().url): Promise<TestServer> => TestServer.start({ redisUrl, args: SOON });
const one = shared(() => start());
const other = shared(() => start());

let users = 0;
const newUser = (): string => `user ${++users}`;

/** Comes back quickly, and goes nowhere but to the address given. */
const socketOptions = { transports: ["websocket"], ...RECONNECT };

async function sdkClient(server: { readonly url: string }, userId: string, sdkOf: TestServer): Promise<SdkClient> {
  const { connect } = await loadSdk(sdkOf);
  const client = owned(connect(server.url, { userId, socketOptions }));
  await until(`${userId} is connected`, () => client.status === "online");
  return client;
}

const answerOf = async (server: TestServer, path: string, init: RequestInit = {}): Promise<unknown> => {
  const response = await fetch(`${server.url}${path}`, { ...init, headers: { "content-type": "application/json" } });
  return { status: response.status, ...((await response.json()) as object) };
};

test("what is sent on either reaches a plain client and an SDK on either, everything once and in order", async () => {
  const user = newUser();
  const plain = await registeredClient(NEWEST, one(), user, { transports: ["websocket"] });
  const sdk = await sdkClient(other(), user, other());
  const handled: unknown[] = [];
  sdk.on("message", (data) => handled.push(data));

  expect(await send(other(), user, "from the other")).toMatchObject({ state: "pushed", offset: 1 });
  expect(await send(one(), user, "from the one")).toMatchObject({ state: "pushed", offset: 2 });
  const [left, right] = await Promise.all([
    sendAll(one(), user, numbered("left", 100)),
    sendAll(other(), user, numbered("right", 100)),
  ]);
  await until("all came to both", () => plain.received().length >= 202 && handled.length >= 202);
  expect(handled).toEqual(plain.received());
  expect(handled.slice(0, 2)).toEqual(["from the other", "from the one"]);
  expect(handled.filter((data) => String(data).startsWith("left"))).toEqual(left);
  expect(handled.filter((data) => String(data).startsWith("right"))).toEqual(right);
});

test("a key takes effect once, whichever of them is asked", async () => {
  const user = newUser();
  const first = await send(one(), user, "paid", { key: "o-1" });
  expect(await send(other(), user, "paid", { key: "o-1" })).toMatchObject({ state: "duplicate", offset: first.offset });
});

test("a user on one sends to a user on the other, and learns that it was delivered and read", async () => {
  const [from, to] = [newUser(), newUser()];
  const sender = await sdkClient(one(), from, one());
  const recipient = await sdkClient(other(), to, other());
  const heard: unknown[] = [];
  recipient.on("message", (data, info) => {
    heard.push([data, info.from]);
    recipient.socket.emit("usercast:read", info.offset);
  });
  const sent = await sender.to(to).emit("message", "hi");
  await until("the sender knows that it was read", () => sent.state === "read");
  expect(heard).toEqual([["hi", from]]);
});

test("presence over HTTP is the same on both", async () => {
  const user = newUser();
  const plain = await registeredClient(NEWEST, one(), user, { transports: ["websocket"] });
  await sdkClient(other(), user, other());
  const sockets = async (server: TestServer) => (await describeUser(server, user)).connections.map(({ socketId }) => socketId);
  await until("both know both", async () => (await sockets(one())).length === 2 && (await sockets(other())).length === 2);
  expect(await sockets(one())).toEqual(await sockets(other()));
  const counts = async (server: TestServer) => {
    const { users, connections } = (await answerOf(server, "/v1/stats")) as { users: number; connections: number };
    return { users, connections };
  };
  expect(await counts(one())).toEqual(await counts(other()));

  plain.socket.disconnect();
  await until("the other knows that it went", async () => (await sockets(other())).length === 1);
});

test("a question to one is answered by who is at the other", async () => {
  const user = newUser();
  const plain = await registeredClient(NEWEST, other(), user, { transports: ["websocket"] });
  plain.socket.on("confirm", ((data: { id: number }, reply: (answer: unknown) => void) => reply({ ok: data.id })) as never);
  const body = JSON.stringify({ event: "confirm", data: { id: 7 } });
  const path = `/v1/users/${encodeURIComponent(user)}/questions`;
  expect(await answerOf(one(), path, { method: "POST", body })).toMatchObject({ status: 200, data: { ok: 7 } });
});

test("connections to one are closed by the other, and stay away", async () => {
  const user = newUser();
  const sdk = await sdkClient(one(), user, one());
  const path = `/v1/users/${encodeURIComponent(user)}/connections`;
  expect(await answerOf(other(), path, { method: "DELETE" })).toMatchObject({ status: 200, closed: 1 });
  await until("it has heard so", () => sdk.status === "closed");
  expect((await describeUser(one(), user)).online).toBe(false);
});

test("clients of one that is killed go on at the other where they were, and its other users are gone within the lease", async () => {
  const [user, gone] = [newUser(), newUser()];
  const doomed = owned(await start());
  const front = owned(await TcpProxy.start(doomed.port));
  const sdk = await sdkClient(front, user, other());
  const trouble: unknown[] = [];
  for (const event of ["missed", "error"]) sdk.lifecycle.on(event, (what: unknown) => trouble.push({ [event]: what }));
  const handled: unknown[] = [];
  sdk.on("message", (data) => handled.push(data));
  const plain = plainClient(NEWEST, front.url, user, { transports: ["websocket"] });
  const lost = plainClient(NEWEST, doomed.url, gone, { transports: ["websocket"], reconnection: false });
  await until("all are there", async () => (await describeUser(other(), user)).connections.length === 2);
  await until("also who will be gone", async () => (await describeUser(other(), gone)).online);

  const mailbox = await sendAll(other(), user, numbered("m", 300), {
    onAccepted: (count) => {
      if (count !== 150) return;
      front.turnTo(other().port);
      void doomed.kill();
    },
  });
  await until("all came to both", () => handled.length >= 300 && new Set(plain.received()).size >= 300);
  expect(handled).toEqual(mailbox);
  expectInOrderAtLeastOnce(plain.connections, mailbox);
  expect(plain.connections).toHaveLength(2);
  expect(trouble).toEqual([]);

  await until("who did not come back is gone", async () => !(await describeUser(other(), gone)).online);
  expect((await describeUser(other(), user)).connections).toHaveLength(2);
  expect(lost.connections).toHaveLength(1);
});

test("one that stops lets its clients go, which go on at the other", async () => {
  const user = newUser();
  const stopping = owned(await start());
  const front = owned(await TcpProxy.start(stopping.port));
  const plain = await registeredClient(NEWEST, other(), user, { url: front.url, transports: ["websocket"] });
  await send(other(), user, "before");
  await until("it came", () => plain.received().length === 1);
  front.turnTo(other().port);
  expect(await stopping.stop()).toBe(0);
  await send(other(), user, "after");
  await until("the next came, too", () => plain.received().includes("after"));
  await until("there is one connection", async () => (await describeUser(other(), user)).connections.length === 1);
});

test("one that is cut off from Redis keeps its clients, says so, and gives them what came meanwhile", async () => {
  const user = newUser();
  const wire = owned(await TcpProxy.start(redis().port));
  const cut = owned(await start(`redis://127.0.0.1:${wire.port}`));
  const sdk = await sdkClient(cut, user, cut);
  const handled: unknown[] = [];
  sdk.on("message", (data) => handled.push(data));
  await send(cut, user, "before");
  const ready = async (server: TestServer) => (await fetch(`${server.url}/readyz`)).status;
  expect(await ready(cut)).toBe(200);

  wire.refuse();
  await until("it knows", async () => (await ready(cut)) === 503);
  expect(await send(cut, user, "refused")).toMatchObject({ status: 503, error: { code: "UNAVAILABLE" } });
  expect(await ready(other())).toBe(200);
  expect((await fetch(`${cut.url}/healthz`)).status).toBe(200);
  expect(await send(other(), user, "meanwhile")).toMatchObject({ offset: 2 });
  expect(sdk.status).toBe("online");
  const early = sdk.to(user).emit("message", "sent while it was away");

  wire.admit();
  await until("it is ready again", async () => (await ready(cut)) === 200);
  expect(await within("what was sent is accepted", early)).toMatchObject({ to: user });
  await until("all came", () => handled.length >= 3);
  expect(handled).toEqual(["before", "meanwhile", "sent while it was away"]);
});
