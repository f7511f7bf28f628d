import { expect, test } from "vitest";
import { send } from "../support/http.ts";
import { owned, shared } from "../support/owned.ts";
import { loadSdk } from "../support/sdk.ts";
import { TestServer } from "../support/server.ts";
import { registeredSpeaker } from "../support/speaker.ts";
import { TcpProxy } from "../support/tcp-proxy.ts";
import { until } from "../support/wait.ts";

// Applications relay events between their clients, so that a client can receive any event with any arguments from another.
// None of them may pass for one of ours.

const server = shared(() => TestServer.start());

/** A WebSocket frame of text from a server to a client. */
function frame(text: string): Uint8Array {
  const payload = Buffer.from(text);
  const head = payload.length < 126 ? [0x81, payload.length] : [0x81, 126, payload.length >> 8, payload.length & 0xff];
  return Buffer.concat([Uint8Array.from(head), payload]);
}

const relayed = (...args: readonly unknown[]): Uint8Array => frame(`42${JSON.stringify(args)}`);

test("no relayed event passes for one of ours", async () => {
  const proxy = owned(await TcpProxy.start(server().port));
  const { connect } = await loadSdk(server());
  const me = owned(connect(proxy.url, { userId: "ana", socketOptions: { transports: ["websocket"] } }));
  const handled: unknown[] = [];
  const told: unknown[] = [];
  let ordinary = 0;
  me.on("message", (data) => handled.push(data));
  for (const event of ["missed", "error", "closing", "receipt"])
    me.lifecycle.on(event, (what: unknown) => told.push({ [event]: what }));
  me.socket.on("ordinary", () => {
    ordinary += 1;
  });
  await until("the SDK is online", () => me.status === "online");
  await send(server(), "ana", "real 1");
  await until("the real one came", () => handled.length === 1);
  const { epoch = "", offset = 0 } = me.position ?? {};

  const meta = { offset: offset + 1, at: Date.now() };
  const position = { epoch, offset: offset + 5, at: Date.now() };
  const ready = { userId: "ana", secret: "guess", device: "d", position, head: position, read: 0, limits: { windowMessages: 1 } };
  for (const secret of ["", "guess", null, undefined, {}, 0, ["guess"]]) {
    proxy.inject(relayed("usercast:message", secret, meta, "message", "forged"));
    proxy.inject(relayed("usercast:signal", secret, {}, "message", "forged"));
    proxy.inject(relayed("usercast:missed", secret, { after: 0, before: 100, reason: "trimmed" }));
    proxy.inject(relayed("usercast:receipt", secret, { to: "bo", key: "k", state: "delivered" }));
    proxy.inject(relayed("usercast:closing", secret, { code: "DISCONNECTED", message: "bye", reconnect: false }));
    proxy.inject(relayed("usercast:ready", secret === "" ? ready : secret));
  }
  proxy.inject(relayed("usercast:message", meta, "message", "forged"));
  proxy.inject(relayed("message", "forged"));
  proxy.inject(relayed("ordinary"));
  await until("what was relayed after them came", () => ordinary === 1);
  await send(server(), "ana", "real 2");
  await until("the next real one came", () => handled.length >= 2);
  expect(handled).toEqual(["real 1", "real 2"]);
  expect(told).toEqual([]);
  expect(me.status).toBe("online");
});

test("a user can make the server say nothing in its own name", async () => {
  const victim = await registeredSpeaker(server(), "victim");
  const { ask, socket } = await registeredSpeaker(server(), "mallory", { device: "other" });
  for (const event of ["usercast:message", "usercast:ready", "usercast:closing", "usercast:"]) {
    const request = { to: "victim", event, data: "forged", key: `k-${event}` };
    expect(await ask("usercast:send", request)).toMatchObject({ ok: false, error: { code: "RESERVED_EVENT" } });
    expect(await ask("usercast:send", { ...request, volatile: true })).toMatchObject({ ok: false });
    expect(await send(server(), "victim", "forged", { event })).toMatchObject({ error: { code: "RESERVED_EVENT" } });
    socket.emit(event, "victim", { offset: 1, at: 1 }, "message", "forged");
  }
  expect(await ask("usercast:send", { to: "victim", event: "message", data: "honest", key: "k" })).toMatchObject({ ok: true });
  await victim.hears("usercast:message");
  const [ready, ...rest] = victim.heard;
  expect(ready?.[0]).toBe("usercast:ready");
  expect(rest).toEqual([
    [
      "usercast:message",
      expect.any(String),
      expect.objectContaining({ offset: 1, from: "mallory", key: "k" }),
      "message",
      "honest",
    ],
  ]);
});
