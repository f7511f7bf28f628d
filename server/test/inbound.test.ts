import { EVENTS } from "@usercast/protocol";
import { expect, test, vi } from "vitest";
import { memory } from "../src/broker/memory.ts";
import { usercast } from "../src/index.ts";
import { client, next, plain, start, wire } from "./harness.ts";

const confirmed = async ({ users }: Awaited<ReturnType<typeof start>>): Promise<number> =>
  (await users.connections("ana"))[0]?.confirmed ?? -1;

test("a confirmation moves the connection, and one for more than was sent or that is none does not", async () => {
  const on = await start();
  const { socket, messages } = await wire(on.url, "ana");
  for (const n of [1, 2, 3]) await on.users.to("ana").emit("message", n);
  await vi.waitFor(() => expect(messages).toHaveLength(3));
  for (const offset of [2, 4, -1, 1.5, "3", null, { offset: 3 }]) socket.emit(EVENTS.ack, offset);
  await vi.waitFor(async () => expect(await confirmed(on)).toBe(2));
  expect(await socket.timeout(1_000).emitWithAck(EVENTS.ack, 9)).toMatchObject({ ok: false, error: { code: "INVALID_ACK" } });
  expect(await socket.timeout(1_000).emitWithAck(EVENTS.ack, 3)).toEqual({ ok: true });
  expect(await confirmed(on)).toBe(3);
});

test("confirmations and sends do not go through Socket.IO, where nobody would see a difference", async () => {
  const on = await start({ authorize: () => true });
  const heard = vi.fn();
  on.io.on("connection", (served) => served.on(EVENTS.ack, heard).on(EVENTS.send, heard));
  const { socket, messages } = await wire(on.url, "ana");
  await on.users.to("ana").emit("message", 1);
  await vi.waitFor(() => expect(messages).toHaveLength(1));
  socket.emit(EVENTS.ack, 1);
  await socket.timeout(1_000).emitWithAck(EVENTS.send, { to: "bo", event: "message", data: 1, key: "k" });
  expect(await confirmed(on)).toBe(1);
  expect(heard).not.toHaveBeenCalled();
});

test("who hears every event of a socket, or stands before them, is given confirmations as ever", async () => {
  const on = await start();
  const { socket, messages } = await wire(on.url, "ana");
  await on.users.to("ana").emit("message", 1);
  await vi.waitFor(() => expect(messages).toHaveLength(1));
  const [served] = await on.io.fetchSockets();
  const raw = on.io.sockets.sockets.get(served?.id ?? "");
  const seen: unknown[] = [];
  raw?.onAny((event, offset) => seen.push([event, offset]));
  socket.emit(EVENTS.ack, 1);
  await vi.waitFor(() => expect(seen).toEqual([[EVENTS.ack, 1]]));
  expect(await confirmed(on)).toBe(1);
  raw?.offAny();
  raw?.use(([event], proceed) => {
    if (event === EVENTS.ack) seen.push("refused");
    else proceed();
  });
  await on.users.to("ana").emit("message", 2);
  await vi.waitFor(() => expect(messages).toHaveLength(2));
  socket.emit(EVENTS.ack, 2);
  await vi.waitFor(() => expect(seen).toContain("refused"));
  expect(await confirmed(on)).toBe(1);
});

test("two namespaces of one connection confirm each for itself, and a socket that is let go is as it was found", async () => {
  const on = await start();
  const { socket, messages } = await wire(on.url, "ana");
  const other = socket.io.socket("/other");
  const heard = vi.fn();
  on.io.of("/other").on("connection", (one) => one.on(EVENTS.ack, heard));
  other.connect();
  await next(other, "connect");
  other.emit(EVENTS.ack, 7);
  await vi.waitFor(() => expect(heard).toHaveBeenCalledWith(7));
  await on.users.to("ana").emit("message", 1);
  await vi.waitFor(() => expect(messages).toHaveLength(1));
  await on.users.close();
  const [left] = on.io.sockets.sockets.values();
  left?.on(EVENTS.ack, heard);
  socket.emit(EVENTS.ack, 1);
  await vi.waitFor(() => expect(heard).toHaveBeenCalledWith(1));
});

test("users of three namespaces share a connection, and none misses what another lets go of", async () => {
  for (const order of [
    [0, 1, 2],
    [2, 1, 0],
    [1, 0, 2],
  ]) {
    const on = await start();
    const names = ["/", "/shop", "/chat"];
    const rest = names.slice(1).map((name) => usercast(on.io.of(name), { trustClients: true, broker: memory({ quiet: true }) }));
    const all = [on.users, ...rest];
    const main = client(on.url);
    const sockets = names.map((name) => (name === "/" ? main : main.io.socket(name)));
    const register = (i: number, ms = 1_000) => sockets[i]?.timeout(ms).emitWithAck("register", `user-${i}`);
    for (const [i, socket] of sockets.entries()) {
      socket.connect();
      expect(await register(i)).toEqual({ ok: true, userId: `user-${i}` });
    }
    for (const leaving of order) {
      await all[leaving]?.close();
      // One that let go leaves an ordinary socket, which answers no registrations, and the others as they were.
      for (const i of order.slice(order.indexOf(leaving) + 1)) expect(await register(i)).toMatchObject({ ok: true });
      await expect(register(leaving, 100)).rejects.toThrow("timed out");
    }
    const data = on.io.of("/").sockets.get(String(main.id))?.conn.listeners("data");
    expect(data?.map((listener) => listener.name)).toEqual(["bound ondata"]);
  }
}, 15_000);

test("a plain client that sends confirmations is refused as ever", async () => {
  const on = await start();
  const { socket, received } = await plain(on.url, "ana");
  await on.users.to("ana").emit("message", 1);
  await vi.waitFor(() => expect(received).toEqual([1]));
  socket.emit(EVENTS.ack, 1);
  expect(await socket.timeout(1_000).emitWithAck(EVENTS.ack, 1)).toMatchObject({ ok: false });
});

test("a send is answered, and gets in after everything its client sent before it", async () => {
  const on = await start({ authorize: () => true });
  const { socket } = await wire(on.url, "ana");
  const { received } = await plain(on.url, "bo");
  const send = (data: unknown) => ({ to: "bo", event: "message", data, key: `k${String(data)}` });
  expect(await socket.timeout(1_000).emitWithAck(EVENTS.send, send(1))).toEqual({ ok: true, state: "accepted" });
  const refused = { ok: false, error: { code: "INVALID_REQUEST" } };
  expect(await socket.timeout(1_000).emitWithAck(EVENTS.send, "é")).toMatchObject(refused);
  // What is binary goes the long way, and so does what comes right after it.
  for (const data of [2, 3]) {
    socket.emit(EVENTS.send, { ...send(`${data}b`), data: Buffer.from([data]) });
    socket.emit(EVENTS.send, send(data));
  }
  await vi.waitFor(() => expect(received).toEqual([1, Buffer.from([2]), 2, Buffer.from([3]), 3]));
});

test("a send reaches its handler after the application's events that its client sent before it", async () => {
  const order: unknown[] = [];
  const on = await start({ authorize: (_from, _to, _event, data) => order.push(data) > 0 });
  on.io.on("connection", (served) => served.on("join", (data) => order.push(data)));
  const { socket } = await wire(on.url, "ana");
  for (const n of [1, 3, 5]) {
    socket.emit("join", n);
    socket.emit(EVENTS.send, { to: "bo", event: "message", data: n + 1, key: `k${n}` });
  }
  await vi.waitFor(() => expect(order).toEqual([1, 2, 3, 4, 5, 6]));
});

test("a socket that has only registered bears no listeners for what it never says, and what it says later is heard", async () => {
  const on = await start();
  const orders: unknown[] = [];
  on.users.on("order", (userId, data) => orders.push([userId, data]));
  const { socket } = await plain(on.url, "ana");
  const [raw] = on.io.sockets.sockets.values();
  expect(raw?.eventNames()).not.toContain(EVENTS.send);
  expect(raw?.listenersAny()).toEqual([]);
  socket.emit("order", 1);
  socket.emit("order", 2);
  await vi.waitFor(() =>
    expect(orders).toEqual([
      ["ana", 1],
      ["ana", 2],
    ]),
  );
  expect(await socket.timeout(1_000).emitWithAck("register", "ana")).toEqual({ ok: true, userId: "ana" });
  expect(await socket.timeout(1_000).emitWithAck("register", "")).toMatchObject({ ok: false });
});

test("an application that hears registrations itself goes on hearing them", async () => {
  const on = await start();
  const heard: unknown[] = [];
  on.io.on("connection", (served) => void served.on("register", (userId) => heard.push(userId)));
  const { socket } = await plain(on.url, "ana");
  expect(await socket.timeout(1_000).emitWithAck("register", "bo")).toEqual({ ok: true, userId: "bo" });
  expect(heard).toEqual(["ana", "bo"]);
});

test("a registration of who is a user already is an event of theirs as well", async () => {
  const on = await start();
  const heard: unknown[] = [];
  on.users.on("register", (userId, data) => heard.push([userId, data]));
  const { socket } = await plain(on.url, "ana");
  expect(await socket.timeout(1_000).emitWithAck("register", "ana")).toEqual({ ok: true, userId: "ana" });
  expect(heard).toEqual([["ana", "ana"]]);
});

test("middleware of the application's may refuse a registration", async () => {
  const on = await start();
  on.io.on("connection", (served) => {
    served.use(([event, userId], proceed) => (event === "register" && userId === "eve" ? undefined : proceed()));
  });
  const { socket } = await plain(on.url, "ana");
  socket.emit("register", "eve");
  expect(await socket.timeout(1_000).emitWithAck("register", "bo")).toEqual({ ok: true, userId: "bo" });
  expect(await on.users.presence(["eve", "bo"])).toMatchObject([{ online: false }, { online: true }]);
});
