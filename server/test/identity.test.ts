import { SignJWT } from "jose";
import { expect, test, vi } from "vitest";
import { memory } from "../src/broker/memory.ts";
import { type Broker, jwt } from "../src/index.ts";
import { ManualClock } from "../src/testing/manual-clock.ts";
import { client, next, start, wire } from "./harness.ts";

const secret = "a secret of more than thirty-two bytes";
const sign = (claims: Record<string, unknown>, expires: number | string = "1h", key = secret): Promise<string> =>
  new SignJWT(claims).setProtectedHeader({ alg: "HS256" }).setExpirationTime(expires).sign(new TextEncoder().encode(key));

test("a valid token makes the connection its user's", async () => {
  const { users, url } = await start({ authenticate: jwt({ secret }) });
  const { ready, messages } = await wire(url, undefined, { token: await sign({ sub: "ana" }) });
  expect(ready.userId).toBe("ana");
  await users.to("ana").send("hi");
  await vi.waitFor(() => expect(messages.length).toBe(1));
});

test("the request a connection came with is let go of, once it is known whose it is and only where that is said", async () => {
  for (const releaseRequest of [true, false]) {
    const requests: unknown[] = [];
    const { io, users, url } = await start({
      releaseRequest,
      authenticate: (socket) => {
        requests.push(socket.request.headers["x-user"]);
        return String(socket.request.headers["x-user"]);
      },
    });
    const { socket, messages } = await wire(url, undefined, {}, { extraHeaders: { "x-user": "ana" } });
    const served = io.sockets.sockets.get(String(socket.id));
    expect([requests, served?.request === null]).toEqual([["ana"], releaseRequest]);
    expect(served?.handshake.headers["x-user"]).toBe("ana");
    await users.to("ana").emit("message", "still here");
    await vi.waitFor(() => expect(messages).toHaveLength(1));
  }
});

test("an SDK without a valid token is refused at the door, with the reason", async () => {
  const { users, url } = await start({ authenticate: jwt({ secret }) });
  const cases = [
    [undefined, "TOKEN_MISSING"],
    ["garbled", "TOKEN_INVALID"],
    [await sign({ sub: "ana" }, "1h", "another secret of more than thirty-two bytes"), "TOKEN_INVALID"],
    [await sign({ sub: "ana" }, Math.floor(Date.now() / 1_000) - 3_600), "TOKEN_EXPIRED"],
    [await sign({ sub: "a\u0000b" }), "TOKEN_INVALID"],
    [["x"], "TOKEN_INVALID"],
  ] as const;
  for (const [token, code] of cases) {
    const socket = client(url, { auth: { token, usercast: { v: 1, device: "d", session: "s" } } });
    expect((await next(socket, "usercast:closing"))[1]).toMatchObject({ code, reconnect: false });
    await vi.waitFor(() => expect(socket.connected).toBe(false));
  }
  expect((await users.presence("ana")).online).toBe(false);
});

test("a connection ends when its token expires, and is welcome with a fresh one", async () => {
  const { users, url } = await start({ authenticate: jwt({ secret }) });
  const token = await sign({ sub: "ana" }, Math.floor(Date.now() / 1_000) + 2);
  const { socket, closing } = await wire(url, undefined, { token });
  socket.auth = { token: await sign({ sub: "ana" }), usercast: { v: 1, device: "phone", session: "s1" } };
  const ready = next(socket, "usercast:ready");
  await vi.waitFor(() => expect(closing).toMatchObject([{ code: "TOKEN_EXPIRED", reconnect: true }]), 10_000);
  expect((await ready)[0]).toMatchObject({ userId: "ana" });
  expect((await users.presence("ana")).connections).toBe(1);
});

test("tokens may come with register where that is switched on, and cannot be replaced by another user's", async () => {
  const { users, url } = await start({ authenticate: jwt({ secret }), registerEvent: "register" });
  const socket = client(url);
  expect(await socket.emitWithAck("register", "ana")).toMatchObject({ ok: false, error: { code: "TOKEN_INVALID" } });
  expect(await socket.emitWithAck("register")).toMatchObject({ ok: false, error: { code: "TOKEN_MISSING" } });
  expect(await socket.emitWithAck("register", await sign({ sub: "ana" }))).toEqual({ ok: true, userId: "ana" });
  expect(await socket.emitWithAck("register", await sign({ sub: "bo" }))).toMatchObject({
    ok: false,
    error: { code: "REGISTER_NOT_ALLOWED" },
  });
  expect((await users.presence("ana")).online).toBe(true);
  expect((await users.presence("bo")).online).toBe(false);
});

test("a token that has expired does not end the watch over the one that holds", async () => {
  const clock = new ManualClock();
  const lives: Readonly<Record<string, number>> = { fresh: 1_000, stale: -1 };
  const verifyToken = async (token: string) => ({ userId: "ana", expiresAt: clock.now() + (lives[token] ?? 0) });
  const authenticate = Object.assign(() => null, { verifyToken });
  const { url } = await start({ authenticate, registerEvent: "register", clock });
  const socket = client(url, { reconnection: false });
  expect(await socket.emitWithAck("register", "fresh")).toEqual({ ok: true, userId: "ana" });
  expect(await socket.emitWithAck("register", "stale")).toMatchObject({ error: { code: "TOKEN_EXPIRED" } });
  const closing = next(socket, "usercast:closing");
  clock.advance(1_000);
  expect((await closing)[1]).toMatchObject({ code: "TOKEN_EXPIRED" });
});

test("what a user sends while the identity or the start is being looked for arrives in order", async () => {
  const gate = (): { readonly promise: Promise<void>; readonly open: () => void } => {
    let open = (): void => {};
    const promise = new Promise<void>((resolve) => {
      open = resolve;
    });
    return { promise, open };
  };
  const [identity, position] = [gate(), gate()];
  const asked = vi.fn();
  const real = memory({ quiet: true });
  const broker: Broker = new Proxy(real, {
    get: (target, name: keyof Broker) => {
      if (typeof target[name] !== "function") return target[name];
      const call = (target[name] as (...args: unknown[]) => unknown).bind(target);
      if (name !== "position") return call;
      return async (...args: unknown[]) => {
        asked();
        await position.promise;
        return call(...args);
      };
    },
  });
  const { io, users, url } = await start({ authenticate: () => identity.promise.then(() => "ana"), broker });
  io.on("connection", (socket) => socket.on("heard", (answer: () => void) => answer()));
  const seen: unknown[] = [];
  users.on("chat", (_userId, data) => seen.push(data));
  const socket = client(url);
  socket.emit("chat", 1);
  await socket.emitWithAck("heard");
  identity.open();
  await vi.waitFor(() => expect(asked).toHaveBeenCalled());
  socket.emit("chat", 2);
  await socket.emitWithAck("heard");
  position.open();
  await vi.waitFor(() => expect(seen).toEqual([1, 2]));
});

test("an identity of the handshake cannot be replaced by register", async () => {
  const { users, url } = await start({ authenticate: jwt({ secret }), registerEvent: "register" });
  const { socket } = await wire(url, undefined, { token: await sign({ sub: "ana" }) });
  expect(await socket.emitWithAck("register", await sign({ sub: "bo" }))).toMatchObject({
    ok: false,
    error: { code: "REGISTER_NOT_ALLOWED" },
  });
  expect((await users.presence("ana")).online).toBe(true);
});

test("a socket that does not register in time is closed", async () => {
  const { url } = await start({ registerTimeoutMs: 30 });
  const idle = client(url);
  expect((await next(idle, "usercast:closing"))[1]).toMatchObject({ code: "REGISTER_TIMEOUT", reconnect: false });
  const busy = client(url);
  await busy.emitWithAck("register", "ana");
  const gone = vi.fn();
  busy.on("disconnect", gone);
  await next(client(url), "usercast:closing");
  expect(gone).not.toHaveBeenCalled();
});

test("authenticate may read what middleware has put on the socket, whatever the order of registration", async () => {
  const { io, users, url } = await start({ authenticate: (socket) => socket.data.userId as string });
  io.use((socket, proceed) => {
    socket.data.userId = "from middleware";
    proceed();
  });
  const { ready } = await wire(url, undefined);
  expect(ready.userId).toBe("from middleware");
  expect(await users.disconnect("from middleware", { reason: "signed out everywhere" })).toBe(1);
});

test("a register flood is answered without work, and others notice nothing", async () => {
  const { users, url } = await start({ maxRegistersPerSecond: 5 });
  const socket = client(url);
  await next(socket, "connect");
  const answers = await Promise.all(Array.from({ length: 500 }, (_, i) => socket.emitWithAck("register", `user-${i}`)));
  expect(answers.filter(({ error }) => error?.code === "RATE_LIMITED").length).toBeGreaterThanOrEqual(490);
  const other = await wire(url, "other");
  await users.to("other").send("hi");
  await vi.waitFor(() => expect(other.messages.length).toBe(1));
});

test("what a client emits while its identity is being established reaches the handlers, in order", async () => {
  let admit = (_: string): void => {};
  const authenticate = () =>
    new Promise<string>((resolve) => {
      admit = resolve;
    });
  const { users, url } = await start({ authenticate });
  const seen: unknown[] = [];
  users.on("chat", (userId, data) => seen.push([userId, data]));
  const socket = client(url);
  for (const text of ["one", "two"]) socket.emit("chat", text);
  await next(socket, "connect");
  // Answered by Socket.IO after both events were taken.
  const asked = socket.emitWithAck("usercast:send", {});
  expect(await asked).toMatchObject({ error: { code: "NOT_REGISTERED" } });
  expect(seen).toEqual([]);
  admit("ana");
  await vi.waitFor(() =>
    expect(seen).toEqual([
      ["ana", "one"],
      ["ana", "two"],
    ]),
  );
});

test("an identity that cannot be established in time sends the client away, to come back", async () => {
  const clock = new ManualClock();
  const { users, url } = await start({ authenticate: () => new Promise(() => {}), authenticateTimeoutMs: 10_000, clock });
  const socket = client(url);
  const closing = next(socket, "usercast:closing");
  await vi.waitFor(() => expect(clock.timers).toBe(1));
  clock.advance(10_000);
  expect((await closing)[1]).toMatchObject({ code: "UNAVAILABLE", reconnect: true });
  await next(socket, "disconnect");
  await vi.waitFor(() => expect(socket.connected).toBe(true));
  expect((await users.presence("ana")).online).toBe(false);
});

test("a verifier that names no valid user makes nobody of it", async () => {
  const verifyToken = async (token: string) => (token === "nobody" ? null : { userId: { not: "an id" } }) as never;
  const { url } = await start({ authenticate: Object.assign(() => null, { verifyToken }), registerEvent: "register" });
  const socket = client(url);
  expect(await socket.emitWithAck("register", "nobody")).toMatchObject({ ok: false, error: { code: "TOKEN_INVALID" } });
  expect(await socket.emitWithAck("register", "somebody")).toMatchObject({ ok: false, error: { code: "INVALID_USER_ID" } });
});
