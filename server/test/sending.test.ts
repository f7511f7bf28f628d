import { EVENTS } from "@usercast/protocol";
import { expect, test, vi } from "vitest";
import { memory } from "../src/broker/memory.ts";
import type { Broker } from "../src/index.ts";
import { ManualClock } from "../src/testing/manual-clock.ts";
import { client, next, plain, start, wire } from "./harness.ts";

test("several recipients have one outcome each, and none hides another", async () => {
  const { users, url } = await start();
  await plain(url, "ana");
  const outcomes = await users.to(["ana", "bo", "", 7, "ana"]).except({ device: "none" }).emit("news", 1);
  expect(outcomes).toMatchObject([
    { userId: "ana", state: "pushed", offset: 1 },
    { userId: "bo", state: "queued" },
    { state: "failed", error: { code: "INVALID_USER_ID" } },
    { userId: "7", state: "queued" },
  ]);
  expect(await users.to([]).emit("news", 3)).toEqual([]);
});

test("a repeated key takes effect once, and other content under it is a conflict", async () => {
  const { users } = await start();
  const send = (data: unknown) => users.to("ana").idempotencyKey("order-1").emit("order", data);
  const first = await send({ total: 1 });
  expect(await send({ total: 1 })).toMatchObject({ state: "duplicate", offset: first.offset, epoch: first.epoch });
  await expect(send({ total: 2 })).rejects.toMatchObject({ code: "IDEMPOTENCY_CONFLICT", status: 409 });
  expect((await users.mailbox("ana").read()).messages).toHaveLength(1);
});

test("bad arguments reject with their code", async () => {
  const { users } = await start();
  const to = users.to("ana");
  const circle: Record<string, unknown> = {};
  circle["self"] = circle;
  let deep: unknown = 1;
  for (let i = 0; i < 100_000; i += 1) deep = [deep];
  const emit = to.emit.bind(to) as (event: unknown, ...data: unknown[]) => Promise<unknown>;
  const cases: readonly (readonly [() => Promise<unknown>, string])[] = [
    [() => users.to("").send(1), "INVALID_USER_ID"],
    [() => users.to("x".repeat(513)).send(1), "INVALID_USER_ID"],
    [() => users.to(1.5).send(1), "INVALID_USER_ID"],
    [() => users.to("a\ud800").send(1), "INVALID_USER_ID"],
    [() => emit(""), "INVALID_EVENT"],
    [() => emit(7), "INVALID_EVENT"],
    [() => emit("x".repeat(257)), "INVALID_EVENT"],
    [() => emit("connect"), "RESERVED_EVENT"],
    [() => emit("disconnect"), "RESERVED_EVENT"],
    [() => emit("usercast:message"), "RESERVED_EVENT"],
    [() => emit("e", 1, 2), "TOO_MANY_DATA"],
    [() => emit("e", circle), "INVALID_DATA"],
    [() => emit("e", 1n), "INVALID_DATA"],
    [() => emit("e", () => 1), "INVALID_DATA"],
    [() => emit("e", deep), "INVALID_DATA"],
    [() => emit("e", new Blob(["x"])), "INVALID_DATA"],
    [() => emit("e", "x".repeat(65_536)), "PAYLOAD_TOO_LARGE"],
    [() => emit("e", Buffer.alloc(65_537)), "PAYLOAD_TOO_LARGE"],
    [() => to.ttl(0).send(1), "INVALID_TTL"],
    [() => to.ttl(-1).send(1), "INVALID_TTL"],
    [() => to.ttl("soon").send(1), "INVALID_TTL"],
    [() => to.idempotencyKey("").send(1), "INVALID_IDEMPOTENCY_KEY"],
    [() => to.idempotencyKey("x".repeat(256)).send(1), "INVALID_IDEMPOTENCY_KEY"],
  ];
  for (const [attempt, code] of cases) await expect(attempt()).rejects.toMatchObject({ code });
  expect((await users.mailbox("ana").read()).messages).toEqual([]);
});

test("a rejection nobody awaits is an error event and ends nothing", async () => {
  const { users } = await start();
  const errors: unknown[] = [];
  users.on("error", (error) => errors.push(error.code));
  void users.to("").send(1);
  users.to("").volatile.send(1);
  await vi.waitFor(() => expect(errors).toEqual(["INVALID_USER_ID", "INVALID_USER_ID"]));
  await expect(users.to("").send(1)).rejects.toMatchObject({ code: "INVALID_USER_ID" });
  expect(errors).toHaveLength(2);
});

test("sends in flight are bounded", async () => {
  const slow = memory({ quiet: true });
  let release = (): void => {};
  const gate = new Promise<void>((resolve) => {
    release = resolve;
  });
  const broker: Broker = new Proxy(slow, {
    get: (target, name: keyof Broker) =>
      name === "publish"
        ? async (drafts: Parameters<Broker["publish"]>[0]) => gate.then(() => target.publish(drafts))
        : typeof target[name] === "function"
          ? (target[name] as () => unknown).bind(target)
          : target[name],
  });
  const { users } = await start({ broker, maxPendingSends: 3 });
  const accepted = [1, 2, 3].map((i) => users.to("ana").send(i));
  await expect(users.to("ana").send(4)).rejects.toMatchObject({ code: "OVERLOADED" });
  release();
  await Promise.all(accepted);
  await users.to("ana").send(5);
});

test("users send to users only where authorize allows it, and learn only what it grants", async () => {
  const authorize = (from: string, to: string): boolean | { receipts: boolean } => {
    if (to === "private") return false;
    return from === "ana" ? { receipts: true } : true;
  };
  const { users, url } = await start({ authorize, cursorIntervalMs: 0 });
  const ana = await wire(url, "ana");
  const bo = await wire(url, "bo");
  const notices: unknown[] = [];
  ana.socket.on(EVENTS.receipt, (_secret, notice) => notices.push(notice));
  const send = (socket: typeof ana.socket, request: object) => socket.emitWithAck(EVENTS.send, request);

  const followed = { ok: true, state: "accepted", receipts: true };
  expect(await send(ana.socket, { to: "private", event: "e", data: 1, key: "k1" })).toMatchObject({
    error: { code: "FORBIDDEN" },
  });
  expect(await send(ana.socket, { to: "bo", event: "message", data: "hey", key: "k2" })).toEqual(followed);
  expect(await send(bo.socket, { to: "cy", event: "message", data: "yo", key: "k2" })).toEqual({ ok: true, state: "accepted" });
  await vi.waitFor(() => expect(bo.messages).toMatchObject([{ data: "hey", meta: { from: "ana", key: "k2" } }]));
  expect(notices).toEqual([]);
  // A retry, because the answer was lost: nobody knows any more what it said, and it is told once.
  expect(await send(ana.socket, { to: "bo", event: "message", data: "hey", key: "k2" })).toEqual(followed);
  await bo.socket.emitWithAck(EVENTS.ack, 1);
  await vi.waitFor(() => expect(notices).toEqual([{ to: "bo", key: "k2", state: "delivered" }]));
  expect((await users.mailbox("cy").read()).messages).toMatchObject([{ from: "bo" }]);
});

test("an authorize function that answers neither yes nor no allows nothing", async () => {
  for (const answer of [undefined, null, 0, "", "yes"]) {
    const { users, url } = await start({ authorize: () => answer as never });
    const { socket } = await wire(url, "ana");
    expect(await socket.emitWithAck(EVENTS.send, { to: "bo", event: "e", data: 1, key: "k" })).toMatchObject({
      error: { code: "FORBIDDEN" },
    });
    expect((await users.mailbox("bo").read()).messages).toEqual([]);
  }
});

test("an authorize function sees only what has the form of a send", async () => {
  const shown: unknown[] = [];
  const { url } = await start({ authorize: (...args) => shown.push(args) > 0 });
  const { socket } = await wire(url, "ana");
  for (const event of [7, {}, ["e"], undefined, "usercast:send"]) {
    expect(await socket.emitWithAck(EVENTS.send, { to: "bo", event, data: 1, key: "k" })).toMatchObject({ ok: false });
  }
  const binary = await socket.emitWithAck(EVENTS.send, Buffer.alloc(1_000));
  expect(binary).toMatchObject({ ok: false, error: { code: "INVALID_REQUEST" } });
  expect(shown).toEqual([]);
});

test("a send of a user has a form, and another sender's key is another key", async () => {
  const { users, url } = await start({ authorize: () => true });
  const { socket } = await wire(url, "ana");
  const cases = [
    [null, "INVALID_REQUEST"],
    ["x", "INVALID_REQUEST"],
    [{ to: "bo", event: "e", data: 1, key: "k", extra: 1 }, "INVALID_REQUEST"],
    [{ to: "", event: "e", data: 1, key: "k" }, "INVALID_USER_ID"],
    [{ to: "bo", event: "e", data: 1 }, "INVALID_IDEMPOTENCY_KEY"],
    [{ to: "bo", event: "connect", data: 1, key: "k" }, "RESERVED_EVENT"],
    [{ to: "bo", event: "e", data: "x".repeat(70_000), key: "k" }, "PAYLOAD_TOO_LARGE"],
    [{ to: "bo", event: "e", data: 1, key: "k", ttl: "never" }, "INVALID_TTL"],
    [{ to: "bo", event: "e", data: 1, key: "k", volatile: true }, "IDEMPOTENCY_KEY_ON_VOLATILE"],
  ] as const;
  for (const [request, code] of cases) {
    expect(await socket.emitWithAck(EVENTS.send, request)).toMatchObject({ ok: false, error: { code } });
  }
  await users.to("bo").idempotencyKey("same").emit("e", "of the back end");
  expect(await socket.emitWithAck(EVENTS.send, { to: "bo", event: "e", data: "of ana", key: "same" })).toMatchObject({
    ok: true,
  });
  expect((await users.mailbox("bo").read()).messages.map(({ data }) => data)).toEqual(["of the back end", "of ana"]);
});

test("sending is off by default, and limited in rate per user where it is on", async () => {
  const off = await start();
  const one = await wire(off.url, "ana");
  expect(await one.socket.emitWithAck(EVENTS.send, { to: "bo", event: "e", data: 1, key: "k" })).toMatchObject({
    error: { code: "FORBIDDEN" },
  });
  const on = await start({ authorize: () => true, sendRate: { points: 3, durationMs: 60_000 } });
  const two = await wire(on.url, "ana");
  const answers = await Promise.all(
    [1, 2, 3, 4, 5].map((i) => two.socket.emitWithAck(EVENTS.send, { to: "bo", event: "e", data: i, key: `k${i}` })),
  );
  expect(answers.map(({ ok, error }) => error?.code ?? ok)).toEqual([true, true, true, "RATE_LIMITED", "RATE_LIMITED"]);
});

test("what users send to the server arrives with the user's id, one piece of data at a time", async () => {
  const { users, url } = await start();
  const seen: unknown[] = [];
  const stop = users.on("chat", (userId, data, { device, acknowledge }) => {
    seen.push([userId, data, device]);
    acknowledge?.("got it");
  });
  const socket = client(url);
  socket.emit("chat", "not registered yet");
  await socket.emitWithAck("register", "ana");
  expect(await socket.emitWithAck("chat", { text: "hi" })).toBe("got it");
  expect(await socket.emitWithAck("chat", 1, 2)).toMatchObject({ ok: false, error: { code: "TOO_MANY_DATA" } });
  socket.emit("online", "forged");
  expect(seen).toEqual([["ana", { text: "hi" }, "plain"]]);
  expect(() => users.on("usercast:send", () => {})).toThrowError(expect.objectContaining({ code: "RESERVED_EVENT" }));
  stop();
});

test("online and offline are told once, the latter after the grace period", async () => {
  const clock = new ManualClock();
  const { users, url } = await start({ presenceGraceMs: 10_000, clock });
  const events: string[] = [];
  users.on("online", (userId) => events.push(`online ${userId}`));
  users.on("offline", (userId) => events.push(`offline ${userId}`));
  const isOnline = async (): Promise<boolean> => (await users.presence("ana")).online;
  const leave = async (): Promise<void> => {
    for (const { socket } of tabs.splice(0)) socket.disconnect();
    await vi.waitFor(async () => expect(await isOnline()).toBe(false));
  };
  const tabs = [await plain(url, "ana"), await plain(url, "ana")];
  await leave();
  clock.advance(9_999);
  tabs.push(await plain(url, "ana"));
  clock.advance(20_000);
  expect(events).toEqual(["online ana"]);
  const leftAt = clock.now();
  await leave();
  clock.advance(9_999);
  expect(events).toEqual(["online ana"]);
  clock.advance(1);
  expect(events).toEqual(["online ana", "offline ana"]);
  expect((await users.presence("ana")).lastSeen).toBe(leftAt);
  tabs.push(await plain(url, "ana"));
  expect(events).toEqual(["online ana", "offline ana", "online ana"]);
});

test("disconnect tells the reason and keeps clients away, unless they may come back", async () => {
  const { users, url } = await start();
  const { socket, closing } = await wire(url, "ana");
  const again = next(socket, EVENTS.ready);
  expect(await users.disconnect("ana", { reason: "a moment please", reconnect: true })).toBe(1);
  await again;
  expect(closing).toMatchObject([{ code: "DISCONNECTED", message: "a moment please", reconnect: true }]);
  await users.disconnect("ana", { reason: "signed out everywhere" });
  await vi.waitFor(() => expect(closing[1]).toMatchObject({ message: "signed out everywhere", reconnect: false }));
  await vi.waitFor(() => expect(socket.connected).toBe(false));
  expect(await users.disconnect("ana")).toBe(0);
});

test("an id that is also a name of JavaScript's is an id like any other", async () => {
  const { users, url } = await start();
  for (const id of ["__proto__", "constructor", "toString"]) {
    const { received } = await plain(url, id);
    expect(await users.to(id).send(id)).toMatchObject({ state: "pushed", offset: 1 });
    await vi.waitFor(() => expect(received).toEqual([id]));
  }
});
