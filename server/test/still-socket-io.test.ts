import { EventEmitter } from "node:events";
import { PacketType } from "socket.io-parser";
import { expect, test, vi } from "vitest";
import { memory } from "../src/broker/memory.ts";
import { jwt, type UsercastOptions, usercast } from "../src/index.ts";
import { client, next, plain, start, wire } from "./harness.ts";

/** The packets that connection state recovery would send again. */
const recoveryLog = (adapter: unknown): readonly unknown[] => (adapter as { packets: unknown[] }).packets;

test("connection state recovery still recovers the application's events, and nothing of ours is in its log", async () => {
  const { io, users, url } = await start({}, { connectionStateRecovery: {} });
  const { socket, received } = await plain(url, "ana", { reconnectionDelay: 500, reconnectionDelayMax: 500 });
  const news: unknown[] = [];
  socket.on("news", (item: unknown) => news.push(item));
  io.emit("news", 1);
  await vi.waitFor(() => expect(news).toEqual([1]));
  // A string at the end of an event is what the client would keep as its recovery offset.
  await users.to("ana").send("a string");
  await vi.waitFor(() => expect(received).toEqual(["a string"]));
  expect(recoveryLog(io.of("/").adapter)).toHaveLength(1);

  const reconnected = next(socket, "connect");
  socket.io.engine.close();
  await vi.waitFor(() => expect(io.of("/").sockets.size).toBe(0));
  io.emit("news", 2);
  await reconnected;
  expect(socket.recovered).toBe(true);
  await vi.waitFor(() => expect(news).toEqual([1, 2]));
});

test("a recovered socket's identity is checked again", async () => {
  const allowed = new Set(["ana"]);
  const authenticate = (socket: { handshake: { auth: Record<string, unknown> } }): string => {
    const name = String(socket.handshake.auth["name"]);
    if (!allowed.has(name)) throw new Error("not any more");
    return name;
  };
  const errors: unknown[] = [];
  const { io, users, url } = await start({ authenticate }, { connectionStateRecovery: { skipMiddlewares: true } });
  users.on("error", (error) => errors.push(error));
  const socket = client(url, { auth: { name: "ana" } });
  await next(socket, "connect");
  io.emit("news", 1);
  await next(socket, "news");
  await vi.waitFor(async () => expect((await users.presence("ana")).online).toBe(true));
  allowed.clear();
  const closing = next(socket, "usercast:closing");
  socket.io.engine.close();
  expect((await closing)[1]).toMatchObject({ code: "AUTHENTICATION_FAILED", reconnect: false });
  await vi.waitFor(() => expect(socket.connected).toBe(false));
  expect((await users.presence("ana")).online).toBe(false);
  expect(errors).toMatchObject([{ code: "AUTHENTICATION_FAILED" }]);
});

test("the application's rooms, events and acknowledgements work beside ours", async () => {
  const { io, users, url } = await start();
  io.on("connection", (socket) => {
    socket.on("join", (room: string, done: () => void) => {
      void socket.join(room);
      done();
    });
    socket.on("sum", (a: number, b: number, answer: (sum: number) => void) => answer(a + b));
  });
  const { socket, received } = await plain(url, "ana");
  await socket.emitWithAck("join", "r");
  expect(await socket.emitWithAck("sum", 1, 2)).toBe(3);
  // socket.id still addresses one connection.
  io.to(socket.id ?? "").emit("message", "by socket id");
  io.to("r").emit("message", "by room");
  await users.to("ana").send("by user");
  await vi.waitFor(() => expect(received).toEqual(["by socket id", "by room", "by user"]));
});

test("frames and Socket.IO's own emits keep their order on one socket", async () => {
  const { io, users, url } = await start();
  const { socket } = await plain(url, "ana");
  const seen: unknown[] = [];
  socket.onAny((event: string, data: unknown) => seen.push([event, data]));
  for (let i = 0; i < 100; i += 1) {
    users.to("ana").volatile.emit("ours", i);
    io.emit("theirs", i);
  }
  await vi.waitFor(() => expect(seen.length).toBe(200));
  expect(seen).toEqual(Array.from({ length: 200 }, (_, i) => [i % 2 === 0 ? "ours" : "theirs", Math.floor(i / 2)]));
});

/** A parser of an application's own: JSON with another face. */
class OwnEncoder {
  encode(packet: { type: number }): string[] {
    return [`own:${JSON.stringify(packet)}`];
  }
}

class OwnDecoder extends EventEmitter {
  add(chunk: string): void {
    this.emit("decoded", JSON.parse(chunk.slice(4)));
  }
  destroy(): void {}
}

test("a parser of the application's own is spoken to in its own words", async () => {
  const parser = { Encoder: OwnEncoder, Decoder: OwnDecoder, PacketType };
  const { users, url } = await start({}, { parser: parser as never });
  const { received } = await plain(url, "ana", { parser: parser as never });
  const sdk = await wire(url, "ana", {}, { parser: parser as never });
  await users.to("ana").send({ text: "hi" });
  await vi.waitFor(() => expect(received).toEqual([{ text: "hi" }]));
  await vi.waitFor(() => expect(sdk.messages).toMatchObject([{ event: "message", data: { text: "hi" }, meta: { offset: 1 } }]));
});

test("an ordinary socket of an authenticated server is left alone", async () => {
  const { io, users, url } = await start({ authenticate: () => null });
  const socket = client(url);
  await next(socket, "connect");
  const hello = next(socket, "hello");
  io.emit("hello", 1);
  expect(await hello).toEqual([1]);
  socket.emit("register", "ana");
  expect(await socket.emitWithAck("usercast:send", { to: "bo", event: "e", data: 1, key: "k" })).toMatchObject({
    ok: false,
    error: { code: "NOT_REGISTERED" },
  });
  expect((await users.presence("ana")).online).toBe(false);
});

test("close() leaves io as it was, and another attach is welcome", async () => {
  const { io, users, url } = await start();
  const listeners = (): number => io.listenerCount("connection") + io.of("/").listenerCount("connection");
  const sdk = await wire(url, "ana");
  const before = listeners();
  expect(() => usercast(io, { trustClients: true })).toThrowError(expect.objectContaining({ code: "INVALID_OPTIONS" }));
  await users.close();
  await vi.waitFor(() => expect(sdk.closing).toMatchObject([{ code: "SERVER_CLOSED", reconnect: true }]));
  expect(sdk.socket.connected).toBe(true);
  expect(listeners()).toBeLessThan(before);
  await expect(users.to("ana").send("late")).rejects.toMatchObject({ code: "SERVER_CLOSED" });
  const again = usercast(io, { trustClients: true, broker: memory({ quiet: true }) });
  await again.close();
});

test("a contradiction in the options throws", async () => {
  const { io } = await start();
  const secret = "a secret of more than thirty-two bytes";
  const attach = (options: object) => () => usercast(io.of("/x"), options as UsercastOptions);
  const refused = expect.objectContaining({ code: "INVALID_OPTIONS" });
  expect(attach({})).toThrowError(refused);
  expect(attach({ trustClients: true, authenticate: jwt({ secret }) })).toThrowError(refused);
  expect(attach({ trustClients: true, windowMessages: 0 })).toThrowError(refused);
  expect(attach({ trustClients: true, windowMesages: 5 })).toThrowError(/windowMesages/);
  expect(attach({ authenticate: () => null, registerEvent: "register" })).toThrowError(refused);
  vi.stubEnv("NODE_ENV", "production");
  expect(attach({ trustClients: true })).toThrowError(/production/);
  vi.unstubAllEnvs();
  expect(attach({ trustClients: true, takeover: "youngest" as never })).toThrowError(/takeover/);
  expect(attach({ trustClients: true, leaseMs: 0 })).toThrowError(/leaseMs/);
  class RedisAdapter {}
  Object.setPrototypeOf(RedisAdapter.prototype, Object.getPrototypeOf(io.of("/x").adapter) as object);
  Object.setPrototypeOf(io.of("/x").adapter, RedisAdapter.prototype);
  expect(attach({ trustClients: true })).toThrowError(/RedisAdapter/);
  // A broker of several nodes is what goes with it.
  const broker = Object.assign(memory({ quiet: true }), { scope: "cluster" as const });
  await attach({ trustClients: true, broker })().close();
  await broker.close();
});
