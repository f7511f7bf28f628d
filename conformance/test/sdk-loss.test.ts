import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { send, sendAll } from "../support/http.ts";
import { numbered } from "../support/order.ts";
import { owned, shared } from "../support/owned.ts";
import { RECONNECT } from "../support/reconnect.ts";
import { loadSdk, type SdkClient } from "../support/sdk.ts";
import { TestServer } from "../support/server.ts";
import { TcpProxy } from "../support/tcp-proxy.ts";
import { until } from "../support/wait.ts";

// What becomes of messages to the SDK when networks misbehave: each handler call once, in order.

const server = shared(() => TestServer.start());

let users = 0;

/** An SDK client behind a proxy, and what its handlers were given. */
async function behindProxy(
  socketOptions: object = {},
): Promise<{ user: string; proxy: TcpProxy; me: SdkClient; handled: unknown[]; trouble: unknown[] }> {
  const user = `sdk${++users}`;
  const proxy = owned(await TcpProxy.start(server().port));
  const { connect } = await loadSdk(server());
  const me = owned(connect(proxy.url, { userId: user, socketOptions: { ...RECONNECT, ...socketOptions } }));
  const handled: unknown[] = [];
  const trouble: unknown[] = [];
  me.on("message", async (data, { offset }) => {
    handled.push(data);
    await delay(offset % 3);
  });
  for (const event of ["missed", "error", "unhandled"])
    me.lifecycle.on(event, (what: unknown) => trouble.push({ [event]: what }));
  await until("the SDK is online", () => me.status === "online");
  return { user, proxy, me, handled, trouble };
}

test.each([
  ["WebSocket", { transports: ["websocket"] }],
  ["polling", { transports: ["polling"] }],
  ["its default transports", {}],
])("a stream through networks that die and break is handled once and in order, over %s", async (_, options) => {
  const { user, proxy, handled, trouble } = await behindProxy(options);
  const mailbox = await sendAll(server(), user, numbered("m", 1_000), {
    onAccepted: (count) => {
      if (count % 200 === 100) proxy.swallow();
      if (count % 200 === 130) proxy.cut();
    },
  });
  await until("all is handled", () => handled.length >= mailbox.length);
  expect(handled).toEqual(mailbox);
  expect(trouble).toEqual([]);
});

test("a network that stalls and recovers costs nothing", async () => {
  const { user, proxy, handled, trouble } = await behindProxy();
  proxy.stall();
  const mailbox = await sendAll(server(), user, numbered("m", 600));
  expect(handled).toEqual([]);
  proxy.resume();
  await until("all is handled", () => handled.length >= mailbox.length);
  expect(handled).toEqual(mailbox);
  expect(trouble).toEqual([]);
});

test.each(["client", "server"] as const)("a connection that ends towards the %s alone loses nothing", async (side) => {
  const { user, proxy, handled } = await behindProxy({ transports: ["websocket"] });
  const mailbox = await sendAll(server(), user, numbered("m", 200), {
    onAccepted: (count) => {
      if (count === 100) proxy.halfClose(side);
    },
  });
  await until("all is handled", () => handled.length >= mailbox.length);
  expect(handled).toEqual(mailbox);
});

test("what the SDK sends through a network that dies and breaks takes effect once and in order", async () => {
  const { user, proxy, me } = await behindProxy({ transports: ["websocket"] });
  const { connect } = await loadSdk(server());
  const recipient = owned(connect(server().url, { userId: `${user}'s friend` }));
  const arrived: unknown[] = [];
  recipient.on("message", (data, { from }) => arrived.push({ data, from }));
  await until("the recipient is online", () => recipient.status === "online");
  const messages = numbered("sent", 18);
  for (const [i, message] of messages.entries()) {
    const state = me.to(`${user}'s friend`).emit("message", message);
    if (i % 6 === 2) {
      // The server takes it, and its answer is lost.
      proxy.swallow();
      await until("it has arrived", () => arrived.length > i);
      proxy.cut();
    }
    expect(await state).toMatchObject({ state: expect.stringMatching(/^(accepted|pushed|queued|delivered)$/) });
  }
  await until("all arrived", () => arrived.length >= messages.length);
  await send(server(), `${user}'s friend`, "the end");
  await until("the end arrived", () => arrived.length > messages.length);
  expect(arrived).toEqual([...messages.map((data) => ({ data, from: user })), { data: "the end", from: undefined }]);
});
