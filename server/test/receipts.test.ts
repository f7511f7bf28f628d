import { EVENTS } from "@usercast/protocol";
import { expect, test, vi } from "vitest";
import { memory } from "../src/broker/memory.ts";
import type { UsercastOptions } from "../src/index.ts";
import { ManualClock } from "../src/testing/manual-clock.ts";
import { plain, start, wire } from "./harness.ts";

const everything: Partial<UsercastOptions> = {
  authorize: () => ({ receipts: true }),
  cursorIntervalMs: 0,
  sendRate: { points: 1_000, durationMs: 1_000 },
};

test("the back end learns of the first device that confirms, and of the first that reads", async () => {
  const { users, url } = await start({ cursorIntervalMs: 0 });
  const receipt = await users.to("ana").send("hi");
  const delivered = receipt.delivered();
  const read = receipt.read({ timeout: "1m" });
  const byLaptop = receipt.delivered({ device: "laptop" });
  const phone = await wire(url, "ana");
  const laptop = await wire(url, "ana", { device: "laptop" });
  await vi.waitFor(() => expect(laptop.messages).toHaveLength(1));
  await phone.socket.emitWithAck(EVENTS.ack, 1);
  expect(await delivered).toEqual({ device: "phone", at: expect.any(Number) });
  await laptop.socket.emitWithAck(EVENTS.ack, 1);
  expect(await byLaptop).toMatchObject({ device: "laptop" });
  await laptop.socket.emitWithAck(EVENTS.read, 1);
  expect(await read).toMatchObject({ device: "laptop" });
  // Who asks later is told what is known.
  expect(await receipt.delivered()).toMatchObject({ device: "phone" });
  expect(await receipt.read()).toMatchObject({ device: "laptop" });
});

test("an untouched client confirms by its heartbeats", async () => {
  const { users, url } = await start({ cursorIntervalMs: 0, pingIntervalMs: 5 });
  await plain(url, "ana");
  const receipt = await users.to("ana").send("hi");
  expect(await receipt.delivered()).toMatchObject({ device: "plain" });
});

test("what nobody confirms in time is a timeout, and what is gone by then says so", async () => {
  const clock = new ManualClock();
  const broker = memory({ quiet: true, clock, maxMailboxMessages: 2 });
  const { users } = await start({ broker, clock });
  const settled = async (promise: Promise<unknown>, ms: number): Promise<unknown> => {
    const result = promise.catch((error: unknown) => (error as { code: string }).code);
    await new Promise(setImmediate);
    clock.advance(ms);
    return result;
  };
  const kept = await users.to("ana").send("kept");
  expect(await settled(kept.delivered({ timeout: "5s" }), 5_000)).toBe("RECEIPT_TIMEOUT");
  expect(await settled(kept.read({ timeout: 10 }), 10)).toBe("RECEIPT_TIMEOUT");
  const expires = await users.to("ana").ttl("1s").send("expires");
  expect(await settled(expires.delivered({ timeout: "1h" }), 10_000)).toBe("MESSAGE_GONE");
  const trimmed = await users.to("bo").send("trimmed");
  for (let i = 0; i < 2; i += 1) await users.to("bo").send(i);
  expect(await settled(trimmed.delivered({ timeout: "1s" }), 1_000)).toBe("MESSAGE_GONE");
  const purged = await users.to("cy").send("purged");
  const wait = settled(purged.delivered({ timeout: "1h" }), 0);
  await new Promise(setImmediate);
  await users.mailbox("cy").purge();
  expect(await wait).toBe("MESSAGE_GONE");
  for (const timeout of [0, -1, 1.5, "never", "25h", Number.NaN, null]) {
    await expect(kept.delivered({ timeout: timeout as never })).rejects.toMatchObject({ code: "INVALID_TIMEOUT" });
  }
  await expect(kept.delivered({ device: "a b" })).rejects.toMatchObject({ code: "INVALID_DEVICE" });
  const forPhone = await users.to("ana").device("phone").send("for the phone");
  await expect(forPhone.delivered({ device: "laptop" })).rejects.toMatchObject({ code: "INVALID_TARGET" });
  expect(clock.timers).toBeLessThan(5);
});

test("a message that expired unseen is never told as delivered, though the cursor passes it", async () => {
  const clock = new ManualClock();
  const broker = memory({ quiet: true, clock });
  const { users, url } = await start({ ...everything, broker });
  const bo = await wire(url, "bo");
  const request = { to: "ana", event: "message", data: "short", key: "k1", ttl: 1_000 };
  expect(await bo.socket.emitWithAck(EVENTS.send, request)).toMatchObject({ ok: true, receipts: true });
  expect(await bo.socket.emitWithAck(EVENTS.send, { ...request, data: "long", key: "k2", ttl: "1h" })).toMatchObject({
    ok: true,
  });
  clock.advance(2_000);
  const ana = await wire(url, "ana");
  await vi.waitFor(() => expect(ana.messages.map(({ data }) => data)).toEqual(["long"]));
  expect(ana.missed).toEqual([{ after: 0, before: 2, reason: "expired" }]);
  await ana.socket.emitWithAck(EVENTS.ack, 2);
  await ana.socket.emitWithAck(EVENTS.read, 2);
  await vi.waitFor(() => expect(bo.receipts.map(({ key, state }) => `${key} ${state}`)).toEqual(["k2 delivered", "k2 read"]));
  const states = await bo.socket.emitWithAck(EVENTS.state, [
    { to: "ana", key: "k1" },
    { to: "ana", key: "k2" },
  ]);
  expect(states).toEqual({ ok: true, states: ["accepted", "read"] });
  expect(await users.trace("ana", 1)).toMatchObject({ state: "expired" });
});

test("a device that claims to be past what expired unseen makes nobody believe that it had it", async () => {
  const clock = new ManualClock();
  const broker = memory({ quiet: true, clock });
  const { users, url } = await start({ ...everything, broker });
  const first = await wire(url, "ana");
  await users.to("ana").send("had");
  await vi.waitFor(() => expect(first.messages).toHaveLength(1));
  await first.socket.emitWithAck(EVENTS.ack, 1);
  first.socket.disconnect();
  const short = await users.to("ana").ttl("1s").send("expires");
  const long = await users.to("ana").send("stays");
  clock.advance(2_000);
  // It was told, and what it confirmed was lost with its connection.
  const again = await wire(url, "ana", { position: { ...first.ready.position, ...long, offset: 3 } });
  await again.socket.emitWithAck(EVENTS.ack, 3);
  await long.delivered();
  expect(await users.trace("ana", short.offset)).toMatchObject({ state: "expired" });
  expect((await broker.position("ana")).user.missed).toEqual([{ first: 2, last: 2 }]);
});

test("a place of another life is no receipt for what expired in this one", async () => {
  const clock = new ManualClock();
  const broker = memory({ quiet: true, clock });
  const { users, url } = await start({ ...everything, broker });
  const short = await users.to("ana").ttl("1s").send("expires");
  clock.advance(2_000);
  const ana = await wire(url, "ana", { position: { epoch: "another", offset: 7, at: 7 } });
  expect(ana.ready.position.offset).toBe(1);
  await ana.socket.emitWithAck(EVENTS.ack, 1);
  await vi.waitFor(async () => expect((await broker.position("ana")).user.delivered).toBe(1));
  expect((await users.trace("ana", short.offset)).state).toBe("expired");
});

test("states are told again to who was away, by any connection of the sender's and nobody else's", async () => {
  const { url } = await start(everything);
  const bo = await wire(url, "bo");
  for (const key of ["k1", "k2", "k3"]) {
    await bo.socket.emitWithAck(EVENTS.send, { to: "ana", event: "message", data: key, key });
  }
  bo.socket.disconnect();
  const ana = await wire(url, "ana");
  await vi.waitFor(() => expect(ana.messages).toHaveLength(3));
  await ana.socket.emitWithAck(EVENTS.ack, 2);
  await ana.socket.emitWithAck(EVENTS.read, 1);
  const asked = ["k1", "k2", "k3", "k4"].map((key) => ({ to: "ana", key }));
  const states = async (who: typeof bo): Promise<unknown> => (await who.socket.emitWithAck(EVENTS.state, asked)).states;
  const back = await wire(url, "bo", { session: "s2" });
  await vi.waitFor(async () => expect(await states(back)).toEqual(["read", "delivered", "accepted", null]));
  expect(await states(await wire(url, "cy"))).toEqual([null, null, null, null]);
  expect(await states(ana)).toEqual([null, null, null, null]);
  // Asked for is followed.
  await ana.socket.emitWithAck(EVENTS.ack, 3);
  await vi.waitFor(() => expect(back.receipts).toContainEqual({ to: "ana", key: "k3", state: "delivered" }));
});

test("states are told only as far as they were granted when the message was sent", async () => {
  const grants = [true, { receipts: false }, { receipts: "delivered" }, { receipts: true }] as const;
  const authorize = (_from: string, _to: string, _event: string, data: unknown) => grants[data as number] ?? false;
  const { url } = await start({ ...everything, authorize });
  const bo = await wire(url, "bo");
  const ana = await wire(url, "ana");
  const keys = ["k0", "k1", "k2", "k3"];
  const answers = [];
  for (const [data, key] of keys.entries())
    answers.push(await bo.socket.emitWithAck(EVENTS.send, { to: "ana", event: "e", data, key }));
  const accepted = { ok: true, state: "accepted" };
  expect(answers).toEqual([accepted, accepted, { ...accepted, receipts: true }, { ...accepted, receipts: true }]);
  await vi.waitFor(() => expect(ana.messages).toHaveLength(4));
  await ana.socket.emitWithAck(EVENTS.ack, 4);
  await ana.socket.emitWithAck(EVENTS.read, 4);
  await vi.waitFor(() =>
    expect(bo.receipts.map(({ key, state }) => `${key} ${state}`)).toEqual(["k2 delivered", "k3 delivered", "k3 read"]),
  );
  const { states } = await bo.socket.emitWithAck(
    EVENTS.state,
    keys.map((key) => ({ to: "ana", key })),
  );
  expect(states).toEqual([null, null, "delivered", "read"]);
});

test("whoever switches read receipts off shows nothing and is shown nothing, and it cannot be worked out", async () => {
  const { users, url } = await start(everything);
  const bo = await wire(url, "bo");
  const quiet = await wire(url, "bo", { session: "s2", readReceipts: false });
  const ana = await wire(url, "ana", { readReceipts: false });
  const laptop = await wire(url, "ana", { device: "laptop" });
  const send = (key: string): Promise<unknown> => bo.socket.emitWithAck(EVENTS.send, { to: "ana", event: "e", data: key, key });
  await send("k1");
  await vi.waitFor(() => expect(laptop.messages).toHaveLength(1));
  await ana.socket.emitWithAck(EVENTS.ack, 1);
  await ana.socket.emitWithAck(EVENTS.read, 1);
  // The user's own devices know.
  await vi.waitFor(() => expect(laptop.read).toEqual([1]));
  await send("k2");
  await vi.waitFor(() => expect(laptop.messages).toHaveLength(2));
  await laptop.socket.emitWithAck(EVENTS.ack, 2);
  await laptop.socket.emitWithAck(EVENTS.read, 2);
  await vi.waitFor(() => expect(bo.receipts.at(-1)).toEqual({ to: "ana", key: "k2", state: "read" }));
  expect(bo.receipts.map(({ key, state }) => `${key} ${state}`)).toEqual(["k1 delivered", "k2 delivered", "k2 read"]);
  expect(quiet.receipts.map(({ key, state }) => `${key} ${state}`)).toEqual(["k1 delivered", "k2 delivered"]);
  const asked = ["k1", "k2"].map((key) => ({ to: "ana", key }));
  expect((await bo.socket.emitWithAck(EVENTS.state, asked)).states).toEqual(["delivered", "read"]);
  expect((await quiet.socket.emitWithAck(EVENTS.state, asked)).states).toEqual(["delivered", "delivered"]);
  expect((await users.trace("ana", 1)).state).toBe("delivered");
});

test("what one device has read is read on the others, and on those that come later", async () => {
  const { users, url } = await start({ cursorIntervalMs: 0 });
  const phone = await wire(url, "ana");
  const tab = await wire(url, "ana", { session: "s2" });
  const laptop = await wire(url, "ana", { device: "laptop" });
  for (let i = 1; i <= 3; i += 1) await users.to("ana").send(i);
  await phone.socket.emitWithAck(EVENTS.read, 2);
  await vi.waitFor(() => expect([tab.read, laptop.read]).toEqual([[2], [2]]));
  await laptop.socket.emitWithAck(EVENTS.read, 1);
  await laptop.socket.emitWithAck(EVENTS.read, 1_000_000);
  // Never past the newest message, and never backwards.
  await vi.waitFor(() => expect(phone.read).toEqual([2, 3]));
  expect((await wire(url, "ana", { device: "tv" })).ready.read).toBe(3);
  for (const offset of [-1, 0.5, "1", null, {}]) {
    expect(await phone.socket.emitWithAck(EVENTS.read, offset)).toMatchObject({ ok: false, error: { code: "INVALID_ACK" } });
  }
});

test("states that are asked for in another form are refused", async () => {
  const { url } = await start(everything);
  const { socket } = await wire(url, "bo");
  const many = Array.from({ length: 101 }, (_, i) => ({ to: "ana", key: `k${i}` }));
  for (const [request, code] of [
    [null, "INVALID_REQUEST"],
    ["k1", "INVALID_REQUEST"],
    [many, "INVALID_REQUEST"],
    [["k1"], "INVALID_REQUEST"],
    [[{ to: "ana" }], "INVALID_IDEMPOTENCY_KEY"],
    [[{ to: "", key: "k" }], "INVALID_USER_ID"],
  ] as const) {
    expect(await socket.emitWithAck(EVENTS.state, request)).toMatchObject({ ok: false, error: { code } });
  }
  const stranger = await start();
  const nobody = await plain(stranger.url, "");
  expect(await nobody.socket.emitWithAck(EVENTS.state, [])).toMatchObject({ error: { code: "NOT_REGISTERED" } });
  expect(await nobody.socket.emitWithAck(EVENTS.read, 1)).toMatchObject({ error: { code: "NOT_REGISTERED" } });
});

test("how full another's mailbox is, is told only to who was granted receipts", async () => {
  const broker = (): ReturnType<typeof memory> => memory({ quiet: true, maxMailboxMessages: 1, whenFull: "reject" });
  for (const [receipts, code] of [
    [true, "MAILBOX_FULL"],
    [false, "STORE_FULL"],
  ] as const) {
    const { url } = await start({ ...everything, authorize: () => ({ receipts }), broker: broker() });
    const { socket } = await wire(url, "bo");
    const request = { to: "ana", event: "e", data: 1 };
    expect(await socket.emitWithAck(EVENTS.send, { ...request, key: "k1" })).toMatchObject({ ok: true });
    expect(await socket.emitWithAck(EVENTS.send, { ...request, key: "k2" })).toMatchObject({ ok: false, error: { code } });
  }
});
