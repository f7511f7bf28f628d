import { EVENTS } from "@usercast/protocol";
import { expect, test, vi } from "vitest";
import { memory } from "../src/broker/memory.ts";
import { client, next, plain, start, wire } from "./harness.ts";

const numbers = (count: number, from = 1): number[] => Array.from({ length: count }, (_, i) => i + from);

test("a device that never confirms is pushed its window and no more, until it confirms", async () => {
  const { users, url } = await start({ windowMessages: 10 });
  const { socket, messages, ready } = await wire(url, "ana");
  expect(ready).toMatchObject({ userId: "ana", device: "phone", position: { offset: 0 }, limits: { windowMessages: 10 } });
  for (const i of numbers(50)) await users.to("ana").send(i);
  await vi.waitFor(() => expect(messages.length).toBe(10));
  expect((await users.connections("ana"))[0]).toMatchObject({ sent: 10, confirmed: 0, state: "catching-up" });
  while (messages.length < 50) {
    const seen = messages.length;
    socket.emit(EVENTS.ack, messages.at(-1)?.meta.offset);
    await vi.waitFor(() => expect(messages.length).toBeGreaterThan(seen));
    expect(messages.length - seen).toBeLessThanOrEqual(10);
  }
  expect(messages.map(({ data }) => data)).toEqual(numbers(50));
  expect(messages.every(({ secret }) => secret === ready.secret)).toBe(true);
});

test("the window counts bytes too, and one message larger than it still passes", async () => {
  const { users, url } = await start({ windowBytes: 1_000 });
  const { socket, messages } = await wire(url, "ana");
  await users.to("ana").send("x".repeat(5_000));
  await users.to("ana").send("small");
  await vi.waitFor(() => expect(messages.length).toBe(1));
  socket.emit(EVENTS.ack, 1);
  await vi.waitFor(() => expect(messages.length).toBe(2));
});

test("what was never sent cannot be confirmed", async () => {
  const { users, url } = await start();
  const { socket, messages } = await wire(url, "ana");
  await users.to("ana").send("one");
  await vi.waitFor(() => expect(messages.length).toBe(1));
  for (const offset of [2, -1, 0.5, "1", null, Number.MAX_SAFE_INTEGER]) {
    expect(await socket.emitWithAck(EVENTS.ack, offset)).toMatchObject({ ok: false, error: { code: "INVALID_ACK" } });
  }
  expect((await users.connections("ana"))[0]?.confirmed).toBe(0);
  expect(await socket.emitWithAck(EVENTS.ack, 1)).toEqual({ ok: true });
});

test("a session resumes at its position, and another one of the device at the device's cursor", async () => {
  const { users, url } = await start({ cursorIntervalMs: 0 });
  const first = await wire(url, "ana");
  for (const i of numbers(10)) await users.to("ana").send(i);
  await vi.waitFor(() => expect(first.messages.length).toBe(10));
  await first.socket.emitWithAck(EVENTS.ack, 7);
  const { meta } = first.messages[2] ?? {};
  first.socket.disconnect();

  const back = await wire(url, "ana", { position: { epoch: first.ready.position.epoch, offset: meta?.offset, at: meta?.at } });
  await vi.waitFor(() => expect(back.messages.map(({ data }) => data)).toEqual(numbers(7, 4)));
  expect(back.ready.position).toEqual({ epoch: first.ready.position.epoch, offset: 3, at: meta?.at });

  const otherTab = await wire(url, "ana", { session: "s2" });
  await vi.waitFor(() => expect(otherTab.messages.map(({ data }) => data)).toEqual([8, 9, 10]));

  const otherDevice = await wire(url, "ana", { device: "laptop" });
  await vi.waitFor(() => expect(otherDevice.messages.map(({ data }) => data)).toEqual([8, 9, 10]));
});

test("a session that was there before the first message gets it when it comes back, whatever others have seen", async () => {
  const { users, url } = await start({ cursorIntervalMs: 0 });
  const early = await wire(url, "ana");
  expect(early.ready.position.offset).toBe(0);
  early.socket.disconnect();
  await vi.waitFor(async () => expect((await users.presence("ana")).online).toBe(false));
  for (const i of numbers(3)) await users.to("ana").send(i);
  const laptop = await wire(url, "ana", { device: "laptop" });
  await vi.waitFor(() => expect(laptop.messages.length).toBe(3));
  await laptop.socket.emitWithAck(EVENTS.ack, 3);
  const back = await wire(url, "ana", { position: early.ready.position });
  await vi.waitFor(() => expect(back.messages.map(({ data }) => data)).toEqual([1, 2, 3]));
  expect(back.missed).toEqual([]);
});

test("a device that has confirmed its start is known: what comes while it is away is due to it", async () => {
  const { users, url } = await start({ cursorIntervalMs: 0 });
  const phone = await wire(url, "ana");
  const first = await users.to("ana").send(1);
  await vi.waitFor(() => expect(phone.messages.length).toBe(1));
  await phone.socket.emitWithAck(EVENTS.ack, 1);
  await first.delivered();
  const laptop = await wire(url, "ana", { device: "laptop" });
  await laptop.socket.emitWithAck(EVENTS.ack, laptop.ready.position.offset);
  laptop.socket.disconnect();
  await vi.waitFor(async () => expect((await users.presence("ana")).connections).toBe(1));
  const second = await users.to("ana").send(2);
  await vi.waitFor(() => expect(phone.messages.length).toBe(2));
  await phone.socket.emitWithAck(EVENTS.ack, 2);
  await second.delivered();
  const otherTab = await wire(url, "ana", { device: "laptop", session: "s2" });
  await vi.waitFor(() => expect(otherTab.messages.map(({ data }) => data)).toEqual([2]));
});

test("a confirmation that was lost with its connection can be given again on the next", async () => {
  const broker = memory({ quiet: true });
  const { users, url } = await start({ broker, cursorIntervalMs: 0 });
  const first = await wire(url, "ana");
  for (const i of numbers(3)) await users.to("ana").send(i);
  await vi.waitFor(() => expect(first.messages.length).toBe(3));
  await first.socket.emitWithAck(EVENTS.ack, 1);
  first.socket.disconnect();
  const back = await wire(url, "ana", {
    position: first.messages.at(-1) && { ...first.ready.position, ...first.messages.at(-1)?.meta },
  });
  expect(back.ready.position.offset).toBe(3);
  const delivered = async (): Promise<number | undefined> => (await broker.position("ana")).devices.get("phone")?.delivered;
  expect(await delivered()).toBe(1);
  await back.socket.emitWithAck(EVENTS.ack, 3);
  await vi.waitFor(async () => expect(await delivered()).toBe(3));
});

test("a position of another epoch, beyond the head, or of another time is told what it missed", async () => {
  const { users, url } = await start();
  for (const i of numbers(5)) await users.to("ana").send(i);
  const { ready } = await wire(url, "ana");
  const { epoch, at } = ready.head;
  const cases = [
    [{ epoch: "other", offset: 3, at }, "epoch"],
    [{ epoch, offset: 6, at }, "rewound"],
    [{ epoch, offset: 5, at: at - 1 }, "rewound"],
    [{ epoch, offset: 3, at: at + 1_000 }, "rewound"],
  ] as const;
  for (const [position, reason] of cases) {
    const { missed, messages } = await wire(url, "ana", { device: `d-${reason}`, position });
    await vi.waitFor(() => expect(messages.length).toBe(5));
    expect(missed).toEqual([{ after: position.offset, before: 1, reason }]);
  }
});

test("a position that has no form is refused", async () => {
  const { url } = await start();
  for (const position of [
    { epoch: "e", offset: -1, at: 0 },
    { epoch: "e", offset: 1.5, at: 0 },
    { offset: 1, at: 0 },
    "x",
    null,
  ]) {
    const socket = client(url, { auth: { usercast: { v: 1, device: "phone", session: "s", position } } });
    const [, closing] = await next(socket, EVENTS.closing);
    expect(closing).toMatchObject({ code: "INVALID_POSITION", reconnect: false });
    await vi.waitFor(() => expect(socket.connected).toBe(false));
  }
});

test("a device that calls itself plain, or has no name, is refused", async () => {
  const { url } = await start();
  for (const device of ["plain", "", "a b", "x".repeat(65), 7, undefined]) {
    const socket = client(url, { auth: { usercast: { v: 1, device, session: "s" } } });
    const [, closing] = await next(socket, EVENTS.closing);
    expect(closing).toMatchObject({ code: "INVALID_DEVICE", reconnect: false });
  }
});

test("what the mailbox could not keep is told as missed, once confirmed not again", async () => {
  const { users, url } = await start({ broker: memory({ quiet: true, maxMailboxMessages: 5 }), cursorIntervalMs: 0 });
  for (const i of numbers(12)) await users.to("ana").send(i);
  const first = await wire(url, "ana");
  await vi.waitFor(() => expect(first.messages.map(({ data }) => data)).toEqual(numbers(5, 8)));
  expect(first.missed).toEqual([{ after: 0, before: 8, reason: "trimmed" }]);
  first.socket.disconnect();
  const again = await wire(url, "ana", { device: "phone", session: "s3" });
  await vi.waitFor(() => expect(again.missed).toEqual([{ after: 0, before: 8, reason: "trimmed" }]));
  await vi.waitFor(() => expect(again.messages.length).toBe(5));
  await again.socket.emitWithAck(EVENTS.ack, 9);
  again.socket.disconnect();
  const last = await wire(url, "ana", { session: "s4" });
  await vi.waitFor(() => expect(last.messages.map(({ data }) => data)).toEqual([10, 11, 12]));
  expect(last.missed).toEqual([]);
});

test("one connection more than allowed closes the oldest, which is told why and stays away", async () => {
  const { users, url } = await start({ maxConnectionsPerUser: 2 });
  const oldest = await wire(url, "ana", { device: "d1" });
  await wire(url, "ana", { device: "d2" });
  await plain(url, "ana");
  await vi.waitFor(() => expect(oldest.closing).toMatchObject([{ code: "TOO_MANY_CONNECTIONS", reconnect: false }]));
  await vi.waitFor(() => expect(oldest.socket.connected).toBe(false));
  expect((await users.presence("ana")).devices).toEqual(["d2", "plain"]);
});

test("a plain tab that hangs neither loses its messages nor takes them from the other", async () => {
  const broker = memory({ quiet: true });
  const { users, io, url } = await start({ broker, pingIntervalMs: 10, cursorIntervalMs: 0 });
  const healthy = await plain(url, "ana");
  const hanging = await plain(url, "ana");
  // Its pongs no longer arrive: the client is there and its engine answers nothing.
  const engine = hanging.socket.io.engine as unknown as { sendPacket: unknown };
  Object.assign(engine, { sendPacket: () => {}, _sendPacket: () => {} });
  for (const i of numbers(3)) await users.to("ana").send(i);
  await vi.waitFor(async () => expect((await users.connections("ana")).map(({ confirmed }) => confirmed)).toEqual([3, 0]));
  // Were this process killed now, the next one would still owe the hanging tab everything.
  expect((await broker.position("ana")).devices.get("plain")).toMatchObject({ delivered: 0 });
  const [, hangingSocket] = [...io.sockets.sockets.values()];
  hangingSocket?.conn.close();
  hanging.socket.disconnect();
  await vi.waitFor(async () => expect((await users.presence("ana")).connections).toBe(1));
  await users.to("ana").send(4);
  await vi.waitFor(() => expect(healthy.received).toEqual([1, 2, 3, 4]));
  const takesOver = await plain(url, "ana");
  await vi.waitFor(() => expect(takesOver.received).toEqual([1, 2, 3, 4]));
});

test("signals reach who is connected now, and are not kept", async () => {
  const { users, url } = await start();
  expect(users.to("ana").volatile.emit("typing", { in: "r" })).toBeUndefined();
  const first = await plain(url, "ana");
  const typing = next(first.socket, "typing");
  users.to("ana").volatile.emit("typing", { in: "room" });
  expect(await typing).toEqual([{ in: "room" }]);
  expect((await users.mailbox("ana").read()).messages).toEqual([]);
});

test("binary data arrives as it was sent, by SDK, plain client and from the log", async () => {
  const { users, url } = await start();
  const live = await wire(url, "ana");
  const plainLive = await plain(url, "ana");
  const data = { name: "a", parts: [Buffer.from([1, 2, 3]), new Uint8Array([4, 5])] };
  await users.to("ana").send(data);
  const expected = { name: "a", parts: [Buffer.from([1, 2, 3]), Buffer.from([4, 5])] };
  await vi.waitFor(() => expect(live.messages[0]?.data).toEqual(expected));
  await vi.waitFor(() => expect(plainLive.received).toEqual([expected]));
  const later = await wire(url, "ana", { device: "other" }, { transports: ["polling"] });
  await vi.waitFor(() => expect(later.messages[0]?.data).toEqual(expected));
  expect((await users.mailbox("ana").read()).messages).toMatchObject([{ event: "message", offset: 1, data: { name: "a" } }]);
});

test("a namespace of its own works like the main one", async () => {
  const { io, url, users: main } = await start();
  const { usercast } = await import("../src/index.ts");
  const users = usercast(io.of("/chat"), { trustClients: true, broker: memory({ quiet: true }) });
  const { received } = await plain(`${url}/chat`, "ana");
  const sdk = await wire(`${url}/chat`, "ana");
  await main.to("ana").send("not here");
  await users.to("ana").send({ file: Buffer.from("x") });
  await users.to("ana").send("here");
  await vi.waitFor(() => expect(received).toEqual([{ file: Buffer.from("x") }, "here"]));
  await vi.waitFor(() => expect(sdk.messages.map(({ data }) => data)).toEqual([{ file: Buffer.from("x") }, "here"]));
  await users.close();
});

test("an upgrade in the middle of a stream loses, repeats and reorders nothing", async () => {
  const { users, url } = await start();
  const { socket, received } = await plain(url, "ana", { transports: ["polling", "websocket"] });
  let sent = 0;
  while (socket.io.engine.transport.name !== "websocket" || sent < 500) {
    sent += 1;
    await users.to("ana").send(sent);
    if (sent % 20 === 0) await new Promise(setImmediate);
  }
  await vi.waitFor(() => expect(received.length).toBe(sent));
  expect(received).toEqual(numbers(sent));
});

test("a client that stops reading holds up nobody, and gets everything when it reads again", async () => {
  const { users, io, url } = await start({ congestionBytes: 65_536 });
  const slow = await wire(url, "slow", {}, {});
  const fast = await wire(url, "fast");
  const engine = slow.socket.io.engine as unknown as { transport: { ws: { _socket: { pause(): void; resume(): void } } } };
  const tcp = engine.transport.ws._socket;
  tcp.pause();
  const text = "x".repeat(50_000);
  for (let i = 0; i < 300; i += 1) await users.to("slow").send(text);
  await users.to("fast").send("prompt");
  await vi.waitFor(() => expect(fast.messages.length).toBe(1));
  const waiting = [...io.sockets.sockets.values()].reduce((sum, { conn }) => {
    const { socket } = conn.transport as unknown as { socket: { bufferedAmount: number } };
    return sum + socket.bufferedAmount;
  }, 0);
  expect(waiting).toBeLessThan(1_048_576);
  slow.socket.on(EVENTS.message, (_secret, meta) => slow.socket.emit(EVENTS.ack, meta.offset));
  tcp.resume();
  await vi.waitFor(() => {
    slow.socket.emit(EVENTS.ack, slow.messages.at(-1)?.meta.offset ?? 0);
    expect(slow.messages.length).toBe(300);
  }, 15_000);
  expect(slow.messages.map(({ meta }) => meta.offset)).toEqual(numbers(300));
});

test("a client that asks for answers and never reads them is given no more than the network takes", async () => {
  const { io, url } = await start({ congestionBytes: 16_384 });
  const { socket } = await wire(url, "ana");
  const tcp = (socket.io.engine as unknown as { transport: { ws: { _socket: { pause(): void; resume(): void } } } }).transport.ws
    ._socket;
  tcp.pause();
  const [{ conn } = { conn: undefined }] = [...io.sockets.sockets.values()];
  const server = conn as unknown as { writeBuffer: unknown[] };
  let taken = 0;
  [...io.sockets.sockets.values()][0]?.onAny(() => {
    taken += 1;
  });
  // More than the kernel's own buffers on the way can hold.
  for (let asked = 10_000; asked <= 60_000; asked += 10_000) {
    for (let i = 0; i < 10_000; i += 1) socket.emit(EVENTS.ack, -1, () => {});
    await vi.waitFor(() => expect(taken).toBe(asked), 10_000);
  }
  expect(server.writeBuffer.length).toBeLessThan(8_000);
  tcp.resume();
});
