import { createServer, type Server as HttpsServer } from "node:https";
import type { AddressInfo, Socket as NetSocket } from "node:net";
import { Server, type Socket as ServerSocket } from "socket.io";
import type { Socket } from "socket.io-client";
import { expect, onTestFinished, test, vi } from "vitest";
import { memory } from "../src/broker/memory.ts";
import { usercast } from "../src/index.ts";
import { client, next, plain, type Running, start, wire } from "./harness.ts";
import { SELF_SIGNED } from "./self-signed.ts";

// What is written past the engine, straight to the WebSocket's own socket: that it is, and that nobody notices but by its speed.

interface Transport {
  readonly name: string;
  readonly ws?: { readonly _socket: NetSocket; terminate(): void };
}

const transportOf = (socket: Socket): Transport => socket.io.engine.transport as unknown as Transport;

/** The client's TCP connection. */
function networkOf(socket: Socket): NetSocket {
  const { ws } = transportOf(socket);
  if (ws === undefined) throw new Error("The client is not on a WebSocket.");
  return ws._socket;
}

/** The server's end of the only connection, and below it. */
const serverSocket = ({ io }: Running): ServerSocket => [...io.of("/").sockets.values()][0] as ServerSocket;
const serverWs = (socket: ServerSocket): { readonly _socket: NetSocket; terminate(): void } =>
  (socket.conn.transport as unknown as { socket: { _socket: NetSocket; terminate(): void } }).socket;

/** Every event a client is given, with its first argument. */
function eventsOf(socket: Socket): unknown[] {
  const events: unknown[] = [];
  socket.onAny((event: string, data: unknown) => events.push([event, data]));
  return events;
}

const numbers = (count: number): number[] => Array.from({ length: count }, (_, i) => i);
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("what this Socket.IO, Engine.IO and ws are relied on for holds: nothing of ours goes through the engine", async () => {
  const warn = vi.fn();
  const server = await start({ logger: { warn, error: warn } });
  const { received } = await plain(server.url, "ana");
  const sdk = await wire(server.url, "bo");
  await Promise.all(numbers(20).map((i) => server.users.to(["ana", "bo"]).emit("message", i)));
  for (const i of numbers(20)) server.users.to(["ana", "bo"]).volatile.emit("message", 20 + i);
  await vi.waitFor(() => expect(received).toEqual(numbers(40)));
  await vi.waitFor(() => expect(sdk.messages).toHaveLength(20));
  const { writes } = await server.users.stats();
  expect(writes.engine).toBe(0);
  expect(writes.direct).toBeGreaterThanOrEqual(80);
  expect(warn).not.toHaveBeenCalled();
});

test("what one connection is sent in one turn leaves in one write of one piece", async () => {
  const server = await start();
  const { received } = await plain(server.url, "ana");
  const network = serverWs(serverSocket(server))._socket;
  const write = vi.spyOn(network, "write");
  const one = vi.spyOn(network, "_write");
  const several = vi.spyOn(network, "_writev" as "_write");
  for (const i of numbers(50)) server.users.to("ana").volatile.emit("message", i);
  await vi.waitFor(() => expect(received).toEqual(numbers(50)));
  expect([write.mock.calls.length, one.mock.calls.length, several.mock.calls.length]).toEqual([1, 1, 0]);
});

test("order is that of the calls, Socket.IO's own among them, in one turn and over several", async () => {
  const server = await start();
  const { socket } = await plain(server.url, "ana");
  const events = eventsOf(socket);
  const expected: unknown[] = [];
  for (let i = 0; i < 200; i += 1) {
    if (i % 3 === 0) serverSocket(server).emit("own", i);
    else server.users.to("ana").volatile.emit("signal", i);
    expected.push([i % 3 === 0 ? "own" : "signal", i]);
    if (i % 20 === 19) await turn();
    if (i % 50 === 49) await new Promise((resolve) => setTimeout(resolve, 5));
  }
  await vi.waitFor(() => expect(events).toEqual(expected));
  expect((await server.users.stats()).writes.direct).toBeGreaterThan(0);
});

test("namespaces that share a connection share its order, though each has a user layer of its own", async () => {
  const server = await start();
  const shop = usercast(server.io.of("/shop"), { trustClients: true, broker: memory({ quiet: true }) });
  onTestFinished(() => shop.close());
  const { socket } = await plain(server.url, "ana");
  const inShop = socket.io.socket("/shop");
  await next(inShop, "connect");
  await inShop.emitWithAck("register", "ana");
  const events: unknown[] = [];
  for (const one of [socket, inShop]) one.onAny((event: string, data: unknown) => events.push([event, data]));
  for (const i of numbers(30)) {
    server.users.to("ana").volatile.emit("main", i);
    shop.to("ana").volatile.emit("shöp", i);
    server.io.of("/shop").emit("own", i);
  }
  await vi.waitFor(() =>
    expect(events).toEqual(
      numbers(30).flatMap((i) => [
        ["main", i],
        ["shöp", i],
        ["own", i],
      ]),
    ),
  );
});

test("an upgrade from polling in the middle of it all loses nothing and keeps the order", async () => {
  const server = await start();
  // The client asks at once, and would not have registered yet.
  const [upgrade] = server.http.listeners("upgrade");
  server.http.removeAllListeners("upgrade");
  server.http.on("upgrade", (...request) => setTimeout(() => upgrade?.(...request), 100));
  const socket = client(server.url, { transports: ["polling", "websocket"] });
  const events = eventsOf(socket);
  socket.on("connect", () => socket.emit("register", "ana"));
  const expected: unknown[] = [];
  let upgradedAt = Number.POSITIVE_INFINITY;
  socket.io.on("open", () =>
    socket.io.engine.once("upgrade", () => {
      upgradedAt = expected.length;
    }),
  );
  for (let i = 0; i < upgradedAt + 100; i += 1) {
    void server.users.to("ana").emit("kept", i);
    expected.push(["kept", i]);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await vi.waitFor(() => expect(events).toEqual(expected), 5_000);
  expect(transportOf(socket).name).toBe("websocket");
  const { writes } = await server.users.stats();
  expect(writes.engine).toBeGreaterThan(0);
  expect(writes.direct).toBeGreaterThan(0);
});

test("with compression everything goes through the engine", async () => {
  const warn = vi.fn();
  const server = await start({ logger: { warn, error: warn } }, { perMessageDeflate: { threshold: 10 } });
  const { socket } = await plain(server.url, "ana", { perMessageDeflate: { threshold: 10 } });
  const events = eventsOf(socket);
  for (const i of numbers(40)) {
    server.users.to("ana").volatile.emit("signal", `${i} ${"x".repeat(100)}`);
    serverSocket(server).emit("own", i);
  }
  const expected = numbers(40).flatMap((i) => [
    ["signal", `${i} ${"x".repeat(100)}`],
    ["own", i],
  ]);
  await vi.waitFor(() => expect(events).toEqual(expected));
  expect((await server.users.stats()).writes).toMatchObject({ direct: 0 });
  expect(warn).not.toHaveBeenCalled();
});

test("a reader that stalls costs a bounded amount of memory, loses no message, and signals are dropped meanwhile", async () => {
  const server = await start({ congestionBytes: 100_000 });
  const { socket } = await plain(server.url, "ana");
  const events = eventsOf(socket);
  networkOf(socket).pause();
  const network = serverWs(serverSocket(server))._socket;
  const payload = "x".repeat(10_000);
  let most = 0;
  for (const i of numbers(1_500)) {
    server.users.to("ana").volatile.emit("signal", { i, payload });
    if (i % 10 === 0) void server.users.to("ana").emit("kept", { i, payload });
    most = Math.max(most, network.writableLength);
    if (i % 50 === 0) await turn();
  }
  await turn();
  expect(most).toBeGreaterThan(100_000);
  expect(most).toBeLessThan(300_000);
  networkOf(socket).resume();
  const named = (name: string): number[] =>
    (events as [string, { i: number }][]).filter(([event]) => event === name).map(([, { i }]) => i);
  await vi.waitFor(() => expect(named("kept")).toEqual(numbers(150).map((i) => i * 10)), 10_000);
  const signals = named("signal");
  expect(signals.length).toBeGreaterThan(0);
  expect(signals.length).toBeLessThan(1_500);
  expect(signals).toEqual([...signals].sort((a, b) => a - b));
  server.users.to("ana").volatile.emit("signal", { i: 9_999 });
  await vi.waitFor(() => expect(named("signal").at(-1)).toBe(9_999));
});

test("frames of the turn arrive before the connection is closed, whoever closes it", async () => {
  const ends: Readonly<Record<string, (server: Running) => unknown>> = {
    "the namespace": (server) => serverSocket(server).disconnect(),
    "the connection": (server) => serverSocket(server).disconnect(true),
    "the engine": (server) => serverSocket(server).conn.close(),
    "the user layer": ({ users }) => users.disconnect("ana"),
    "the server": ({ io }) => io.close(),
  };
  for (const [who, end] of Object.entries(ends)) {
    const server = await start();
    const { socket, received } = await plain(server.url, "ana", { reconnection: false });
    const disconnected = next(socket, "disconnect");
    for (const i of numbers(10)) server.users.to("ana").volatile.emit("message", i);
    end(server);
    for (const i of numbers(10)) server.users.to("ana").volatile.emit("message", `late ${i}`);
    await disconnected;
    expect([who, received.filter((one) => typeof one === "number")]).toEqual([who, numbers(10)]);
  }
});

test("a connection that breaks in the turn is written to no more, and nobody hears of an error", async () => {
  const error = vi.fn();
  const server = await start({ logger: { warn: error, error } });
  for (const breaks of ["terminate", "destroy", "end"] as const) {
    const { socket } = await plain(server.url, "ana", { reconnection: false });
    const gone = next(socket, "disconnect");
    const ws = serverWs(serverSocket(server));
    server.users.to("ana").volatile.emit("message", "lost");
    if (breaks === "terminate") ws.terminate();
    else if (breaks === "end") ws._socket.end();
    else ws._socket.destroy();
    server.users.to("ana").volatile.emit("message", "lost as well");
    await gone;
    await vi.waitFor(async () => expect((await server.users.stats()).connections).toBe(0));
  }
  expect(error).not.toHaveBeenCalled();
});

test("heartbeats go on beside it, and confirm what was written before them", async () => {
  const server = await start({ pingIntervalMs: 20 }, { pingInterval: 30, pingTimeout: 200 });
  const { socket, received } = await plain(server.url, "ana");
  const until = Date.now() + 600;
  let sent = 0;
  while (Date.now() < until) {
    server.users.to("ana").volatile.emit("message", sent);
    sent += 1;
    const receipt = await server.users.to("ana").emit("message", sent);
    sent += 1;
    await receipt.delivered({ timeout: 2_000 });
  }
  expect(received).toEqual(numbers(sent));
  expect(socket.connected).toBe(true);
});

test("messages of every size and script, and attachments between them, arrive as they were sent", async () => {
  const server = await start({ maxPayloadBytes: 1_000_000 });
  const { received } = await plain(server.url, "ana");
  const sdk = await wire(server.url, "ana");
  const texts = [
    95, 96, 97, 98, 99, 100, 101, 102, 103, 104, 105, 106, 107, 108, 109, 110, 65_500, 65_510, 65_520, 65_530, 300_000,
  ];
  const sent: unknown[] = [
    ...texts.map((size) => "x".repeat(size)),
    "é",
    "ÿ".repeat(60),
    "日本語",
    "👩‍👩‍👧",
    "\u2028\ud800 alone",
    Buffer.from([0, 1, 255]),
    { deep: [Buffer.from("attached"), "text behind"] },
    "é".repeat(40_000),
  ];
  // One by one, in one turn, and from the log.
  for (const data of sent) server.users.to("ana").volatile.emit("message", data);
  await Promise.all(sent.map((data) => server.users.to("ana").emit("message", data)));
  await vi.waitFor(() => expect(received).toHaveLength(2 * sent.length), 5_000);
  expect(received).toEqual([...sent, ...sent]);
  await vi.waitFor(() => expect(sdk.messages.map(({ data }) => data)).toEqual(sent));
});

test("what is not ASCII in the place of who sends arrives, too", async () => {
  const server = await start({ authorize: () => true });
  const bo = await wire(server.url, "bö 日本");
  const ana = await wire(server.url, "ana");
  const answer = await bo.socket.emitWithAck("usercast:send", { to: "ana", event: "message", data: "hi", key: "k1" });
  expect(answer).toMatchObject({ ok: true });
  await vi.waitFor(() => expect(ana.messages).toMatchObject([{ meta: { from: "bö 日本", key: "k1" }, data: "hi" }]));
});

test("TLS is written to in the same way", async () => {
  const https: HttpsServer = createServer(SELF_SIGNED);
  const io = new Server(https);
  const users = usercast(io, { trustClients: true, broker: memory({ quiet: true }), congestionBytes: 100_000 });
  await new Promise<void>((resolve) => https.listen(0, "127.0.0.1", resolve));
  onTestFinished(async () => {
    await users.close();
    await io.close();
  });
  const url = `https://localhost:${(https.address() as AddressInfo).port}`;
  const { socket, received } = await plain(url, "ana", { rejectUnauthorized: false });
  for (const i of numbers(30)) users.to("ana").volatile.emit("message", i);
  await vi.waitFor(() => expect(received).toEqual(numbers(30)));
  networkOf(socket).pause();
  const payload = "é".repeat(20_000);
  await Promise.all(numbers(300).map((i) => users.to("ana").emit("message", { i, payload })));
  networkOf(socket).resume();
  await vi.waitFor(() => expect(received).toHaveLength(330), 10_000);
  expect(received.slice(30)).toEqual(numbers(300).map((i) => ({ i, payload })));
  expect((await users.stats()).writes).toMatchObject({ engine: 0 });
});

test("who counts the packets of a connection is told of ours", async () => {
  const server = await start();
  const { received } = await plain(server.url, "ana");
  const seen: unknown[] = [];
  serverSocket(server).conn.on("packetCreate", ({ type, data }) => seen.push([type, data]));
  server.users.to("ana").volatile.emit("message", 1);
  await vi.waitFor(() => expect(received).toEqual([1]));
  expect(seen).toEqual([["message", '2["message",1]']]);
});

test("WebSockets that are made otherwise are written to through the engine, and the log says so once", async () => {
  const warn = vi.fn();
  const server = await start({ logger: { warn, error: warn } });
  server.io.engine.on("connection", (engine: { transport: { socket: object } }) => {
    // As a release might: what the engine itself uses still works.
    Object.defineProperty(engine.transport.socket, "extensions", { value: undefined });
  });
  const { received } = await plain(server.url, "ana");
  await plain(server.url, "bo");
  for (const i of numbers(10)) server.users.to(["ana", "bo"]).volatile.emit("message", i);
  await vi.waitFor(() => expect(received).toEqual(numbers(10)));
  expect((await server.users.stats()).writes).toEqual({ direct: 0, engine: 20 });
  expect(warn).toHaveBeenCalledTimes(1);
});

test("whoever has put a way of closing of their own on a connection keeps it", async () => {
  const server = await start();
  const closed = vi.fn();
  server.io.engine.on("connection", (engine: { close: (discard?: boolean) => void }) => {
    const { close } = engine;
    engine.close = function (this: unknown, discard) {
      closed();
      close.call(this, discard);
    };
  });
  const { socket, received } = await plain(server.url, "ana", { reconnection: false });
  const disconnected = next(socket, "disconnect");
  for (const i of numbers(5)) server.users.to("ana").volatile.emit("message", i);
  serverSocket(server).conn.close();
  await disconnected;
  expect(received).toEqual(numbers(5));
  expect(closed).toHaveBeenCalled();
});

test("connection state recovery is not disturbed", async () => {
  const server = await start({}, { connectionStateRecovery: {} });
  const socket = client(server.url, { reconnectionDelay: 300, reconnectionDelayMax: 300 });
  const events = eventsOf(socket);
  await next(socket, "connect");
  await socket.emitWithAck("register", "ana");
  server.io.emit("own", 1);
  server.users.to("ana").volatile.emit("signal", "a string at the end");
  await vi.waitFor(() => expect(events).toHaveLength(2));
  const again = next(socket, "connect");
  transportOf(socket).ws?.terminate();
  await vi.waitFor(() => expect(server.io.of("/").sockets.size).toBe(0));
  server.io.emit("own", 2);
  await again;
  expect(socket.recovered).toBe(true);
  await vi.waitFor(() => expect(events.at(-1)).toMatchObject(["own", 2]));
  expect((await server.users.stats()).writes).toMatchObject({ engine: 0 });
});
