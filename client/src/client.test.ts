import { EVENTS, UsercastError } from "@usercast/protocol";
import { io } from "socket.io-client";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { FakeServer } from "../test/fake-server.ts";
import type { Client } from "./client.ts";
import { connect } from "./connect.ts";
import type { MessageInfo } from "./events.ts";
import type { Status } from "./lifecycle.ts";
import type { ConnectOptions } from "./options.ts";
import { memoryStorage } from "./storage.ts";

let server: FakeServer;
let url: string;
const clients: Client[] = [];

const fast: ConnectOptions = {
  ackIntervalMs: 0,
  socketOptions: { forceNew: true, transports: ["websocket"], reconnectionDelay: 10, reconnectionDelayMax: 20 },
};

/** A client with notes of what it told. */
const open = (options: ConnectOptions = {}, target: Parameters<typeof connect>[0] = url) => {
  const me = connect(target, { ...fast, ...options });
  clients.push(me);
  const got: unknown[] = [];
  const errors: string[] = [];
  const states: Status[] = [];
  const told: unknown[] = [];
  me.lifecycle.on("error", ({ code }) => errors.push(code));
  me.lifecycle.on("status", (status) => states.push(status));
  me.lifecycle.on("missed", (missed) => told.push(missed));
  return { me, got, errors, states, told, note: (data: unknown) => void got.push(data) };
};

const until = (check: () => void): Promise<void> => vi.waitFor(check, { timeout: 5_000, interval: 5 });
const connections = (count: number) => until(() => expect(server.connections).toHaveLength(count));

beforeEach(async () => {
  server = new FakeServer();
  url = await server.listen();
});

afterEach(async () => {
  for (const client of clients.splice(0)) client.close();
  await server.close();
});

describe("connecting", () => {
  test("dials after the current task, so that no message comes before its handler", async () => {
    server.publish("message", "early");
    const { me, got, states, note } = open({ token: "t", deviceId: "phone" });
    expect(me.socket.active).toBe(false);
    expect(me.status).toBe("connecting");
    me.on("message", note);
    await until(() => expect(got).toEqual(["early"]));
    expect(server.last.auth).toMatchObject({ token: "t", usercast: { v: 1, device: "phone" } });
    expect(me.userId).toBe("ana");
    expect(states).toEqual(["online"]);
  });

  test("hands a message to its handlers with its place", async () => {
    const { me } = open();
    const infos: unknown[] = [];
    me.on("message", (_, info) => infos.push(info));
    await connections(1);
    server.last.frame({ offset: 1, at: 1_001, from: "bo", key: "k" }, "message", "hi");
    const info: MessageInfo = { volatile: false, epoch: "epoch-1", offset: 1, at: 1_001, from: "bo", key: "k" };
    await until(() => expect(infos).toEqual([info]));
  });

  test("registers with the user id where clients are trusted, after each connect", async () => {
    const registered: unknown[] = [];
    server.onConnection = (connection) => {
      connection.socket.on("hello", (id, answer) => {
        registered.push(id);
        answer({ ok: true, userId: "7" });
        connection.accept({ userId: "7" });
      });
    };
    const { me } = open({ userId: 7, registerEvent: "hello" });
    await until(() => expect(me.status).toBe("online"));
    server.last.break();
    await until(() => expect(registered).toEqual(["7", "7"]));
    await until(() => expect(me.status).toBe("online"));
  });

  test("reports a registration that was refused", async () => {
    server.onConnection = ({ socket }) =>
      socket.on("register", (_, answer) => answer({ ok: false, error: { code: "REGISTER_NOT_ALLOWED", message: "no" } }));
    const { me, errors } = open({ userId: "ana" });
    await until(() => expect(errors).toEqual(["REGISTER_NOT_ALLOWED"]));
    expect(me.status).toBe("connecting");
  });

  test("reports a server that accepts the connection as nobody's", async () => {
    server.onConnection = () => undefined;
    const { errors } = open({ readyTimeoutMs: 20 });
    await until(() => expect(errors).toEqual(["NOT_REGISTERED"]));
  });

  test("takes a socket that is not connected yet, and keeps what the application has in its handshake", async () => {
    const socket = io(url, { ...fast.socketOptions, autoConnect: false, auth: { tenant: "acme" } });
    const { me, got, note } = open({ token: () => Promise.resolve("t") }, socket);
    const own: unknown[] = [];
    me.on("message", note);
    me.socket.on("message", (data) => own.push(data));
    await until(() => expect(me.status).toBe("online"));
    expect(server.last.auth).toMatchObject({ tenant: "acme", token: "t", usercast: { v: 1 } });
    server.last.socket.emit("message", "the application's own");
    server.publish("message", "ours");
    await until(() => expect(got).toEqual(["ours"]));
    expect(own).toEqual(["the application's own"]);
    me.close();
    expect(socket.auth).toEqual({ tenant: "acme" });
    expect(() => connect(io(url, { autoConnect: false }), { maxOutbox: 0 })).toThrow(UsercastError);
  });

  test("brings its own handshake over a connection that another namespace has open", async () => {
    server.io.of("/own");
    const other = io(`${url}/own`, { transports: ["websocket"] });
    await until(() => expect(other.connected).toBe(true));
    const { me } = open({ socketOptions: { transports: ["websocket"] }, token: "t" });
    await until(() => expect(me.status).toBe("online"));
    expect(me.socket.io).toBe(other.io);
    expect(server.last.auth).toMatchObject({ token: "t", usercast: { v: 1 } });
    other.close();
  });

  test("refuses a socket that is connected, and options that make no sense", async () => {
    const socket = io(url, fast.socketOptions);
    await until(() => expect(socket.connected).toBe(true));
    expect(() => connect(socket)).toThrow(expect.objectContaining({ code: "INVALID_OPTIONS" }));
    socket.close();
    const codes = [{ handlerTimeoutMs: 0 }, { userId: "" }, { deviceId: "plain" }, { sendTimeoutMs: 86_400_001 }].map(
      (options) => {
        try {
          connect(url, options);
        } catch (error) {
          return (error as UsercastError).code;
        }
        return "none";
      },
    );
    expect(codes).toEqual(["INVALID_OPTIONS", "INVALID_USER_ID", "INVALID_DEVICE", "INVALID_OPTIONS"]);
  });
});

describe("the stream", () => {
  test("confirms what has settled, per connection", async () => {
    const { me, note } = open();
    me.on("message", note);
    await connections(1);
    server.publish("message", 1);
    await until(() => expect(server.last.acks).toEqual([1]));
    server.last.break();
    await connections(2);
    server.publish("message", 2);
    await until(() => expect(server.last.acks).toEqual([2]));
  });

  test("resumes where it had settled, and starts nothing twice", async () => {
    const { me, got } = open();
    const finish: (() => void)[] = [];
    me.on("message", (data) => {
      got.push(data);
      return new Promise<void>((resolve) => finish.push(resolve));
    });
    await connections(1);
    for (const text of ["a", "b", "c"]) server.publish("message", text);
    await until(() => expect(got).toEqual(["a", "b", "c"]));
    finish[0]?.();
    await until(() => expect(server.last.acks).toEqual([1]));
    server.last.break();
    await connections(2);
    server.publish("message", "d");
    await until(() => expect(got).toEqual(["a", "b", "c", "d"]));
    expect(server.last.auth.usercast?.position).toEqual(server.positionAt(1));
    for (const done of finish) done();
    await until(() => expect(server.last.acks).toEqual([4]));
  });

  test("ignores what does not bear the connection's secret", async () => {
    const { me, got, told, note } = open();
    me.on("message", note);
    await until(() => expect(me.status).toBe("online"));
    const { socket, secret } = server.last;
    socket.emit(EVENTS.message, "guess", { offset: 1, at: 1 }, "message", "forged");
    socket.emit(EVENTS.message, undefined, { offset: 1, at: 1 }, "message", "forged");
    socket.emit(EVENTS.signal, "", {}, "message", "forged");
    socket.emit(EVENTS.missed, "", { after: 0, before: 9, reason: "trimmed" });
    socket.emit(EVENTS.ready, {
      userId: "eve",
      secret: "guess",
      position: server.positionAt(9),
      head: server.positionAt(9),
      limits: {},
    });
    socket.emit(EVENTS.message, "guess", { offset: 10, at: 10 }, "message", "forged");
    socket.emit(EVENTS.signal, secret, {}, "message", "a signal");
    server.publish("message", "genuine");
    await until(() => expect(got).toEqual(["a signal", "genuine"]));
    expect(told).toEqual([]);
    expect(me.userId).toBe("ana");
  });

  test("does not hand on a repeated frame, nor the server's extra arguments", async () => {
    const { me } = open();
    const calls: unknown[][] = [];
    me.on("message", (...args) => calls.push(args));
    await until(() => expect(me.status).toBe("online"));
    const { socket, secret } = server.last;
    for (let i = 0; i < 2; i++) socket.emit(EVENTS.message, secret, { offset: 1, at: 1_001 }, "message", "once", null);
    server.log.push({ offset: 1, at: 1_001, event: "message", data: "once" });
    server.publish("message", "next");
    await until(() => expect(calls.map(([data]) => data)).toEqual(["once", "next"]));
    expect(calls[0]).toHaveLength(2);
  });

  test("is begun again from what had settled when a message is lost on the way", async () => {
    const { me, got, errors, note } = open();
    me.on("message", note);
    await until(() => expect(me.status).toBe("online"));
    server.publish("message", "a");
    for (const offset of [2, 3]) server.log.push({ offset, at: 1_000 + offset, event: "message", data: `late ${offset}` });
    server.last.frame({ offset: 3, at: 1_003 }, "message", "out of turn");
    await until(() => expect(got).toEqual(["a", "late 2", "late 3"]));
    expect(errors).toEqual(["STREAM_BROKEN"]);
    expect(server.connections).toHaveLength(2);
  });

  test("tells what was missed, once, and confirms it", async () => {
    const { me, told } = open();
    server.onConnection = (connection) => {
      connection.accept();
      connection.missed({ after: 0, before: 4, reason: "trimmed" });
    };
    await until(() => expect(server.last.acks).toEqual([3]));
    server.last.break();
    await connections(2);
    await until(() => expect(server.last.acks).toEqual([3]));
    expect(told).toEqual([{ after: 0, before: 4, reason: "trimmed" }]);
    expect(me.status).toBe("online");
  });

  test("begins anew with another epoch", async () => {
    const { me, got, told, note } = open();
    me.on("message", note);
    await connections(1);
    for (const text of ["a", "b"]) server.publish("message", text);
    await until(() => expect(got).toEqual(["a", "b"]));
    server.onConnection = (connection) => {
      connection.accept();
      connection.missed({ after: 2, before: 1, reason: "epoch" });
    };
    const first = server.last;
    server.epoch = "epoch-2";
    server.log = [];
    first.break();
    await connections(2);
    server.publish("message", "of the new life");
    await until(() => expect(got).toEqual(["a", "b", "of the new life"]));
    expect(told).toEqual([{ after: 2, before: 1, reason: "epoch" }]);
    expect(me.position).toEqual(server.positionAt(1));
  });

  test("waits for a handler that is set late", async () => {
    const { me, got, note } = open();
    me.on("other", note);
    await until(() => expect(me.status).toBe("online"));
    server.publish("late", 1);
    server.publish("other", 2);
    server.last.socket.emit(EVENTS.signal, server.last.secret, {}, "other", "passed both");
    await until(() => expect(got).toEqual(["passed both"]));
    me.on("late", note);
    await until(() => expect(got).toEqual(["passed both", 1, 2]));
  });
});

describe("handlers", () => {
  test("are removed by what `on` answers, by `off`, and by themselves after `once`", async () => {
    const { me, got } = open({ handlerWaitMs: 0 });
    const unhandled: unknown[] = [];
    me.lifecycle.on("unhandled", ({ data }) => unhandled.push(data));
    me.once("message", (data) => got.push(["once", data]));
    const off = me.on("message", (data) => got.push(["on", data]));
    await until(() => expect(me.status).toBe("online"));
    server.publish("message", 1);
    server.publish("message", 2);
    await until(() =>
      expect(got).toEqual([
        ["once", 1],
        ["on", 1],
        ["on", 2],
      ]),
    );
    off();
    server.publish("message", 3);
    await until(() => expect(unhandled).toEqual([3]));
    me.on("message", (data) => got.push(data));
    me.off("message");
    server.publish("message", 4);
    await until(() => expect(unhandled).toEqual([3, 4]));
  });

  test("that fail are reported, and the stream goes on", async () => {
    const { me, got, errors } = open();
    me.on("message", (data) => {
      got.push(data);
      throw new Error("no");
    });
    await connections(1);
    server.publish("message", 1);
    server.publish("message", 2);
    await until(() => expect(server.last.acks.at(-1)).toBe(2));
    expect(errors).toEqual(["HANDLER_FAILED", "HANDLER_FAILED"]);
  });
});

describe("a page", () => {
  const page = (options: ConnectOptions = {}) => {
    const session = memoryStorage();
    const local = memoryStorage();
    return { ...options, storage: { session, local } };
  };

  test("goes on after a reload: what had settled does not come again, what had not does", async () => {
    const options = page();
    const before = open(options);
    before.me.on("message", (data) => (data === "hangs" ? new Promise(() => undefined) : undefined));
    await connections(1);
    for (const data of ["settles", "hangs", "settles too"]) server.publish("message", data);
    await until(() => expect(before.me.position?.offset).toBe(1));
    const { device, session } = server.last.auth.usercast ?? {};
    before.me.pageHidden();
    before.me.socket.io.engine.close(); // the page is gone without a word
    before.me.close();
    const after = open(options);
    after.me.on("message", after.note);
    await until(() => expect(after.got).toEqual(["hangs", "settles too"]));
    expect(server.last.auth.usercast).toMatchObject({ device, session, position: server.positionAt(1) });
  });

  test("forgets its place when the server says that it is another user's", async () => {
    const options = page();
    server.log = [1, 2, 3].map((offset) => ({ offset, at: 1_000 + offset, event: "message", data: offset }));
    const before = open(options);
    before.me.on("message", before.note);
    await until(() => expect(before.got).toEqual([1, 2, 3]));
    before.me.close();
    server.userId = "bo";
    server.epoch = "epoch-of-bo";
    server.cursor = 1;
    server.onConnection = (connection) => {
      const misled = connection.auth.usercast?.position !== undefined;
      connection.accept();
      if (misled) connection.missed({ after: 3, before: 2, reason: "epoch" });
    };
    const after = open(options);
    after.me.on("message", after.note);
    await until(() => expect(after.got).toEqual([2, 3]));
    expect(after.told).toEqual([]);
    expect(after.me.userId).toBe("bo");
    expect(server.connections.map(({ auth }) => auth.usercast?.position?.offset)).toEqual([undefined, 3, undefined]);
  });

  test("does not bring its place when the token is another user's", async () => {
    const token = (sub: string) => `h.${btoa(JSON.stringify({ sub }))}.s`;
    const options = page();
    const before = open({ ...options, token: token("ana") });
    await until(() => expect(before.me.status).toBe("online"));
    before.me.close();
    server.userId = "bo";
    const after = open({ ...options, token: token("bo") });
    await until(() => expect(after.me.status).toBe("online"));
    expect(server.connections.map(({ auth }) => auth.usercast?.position)).toEqual([undefined, undefined]);
  });
});

describe("being sent away", () => {
  test("an expired token is fetched anew for the next dial", async () => {
    let fetched = 0;
    const { me, states } = open({ token: () => `token-${++fetched}` });
    const closings: unknown[] = [];
    me.lifecycle.on("closing", ({ code }) => closings.push(code));
    await until(() => expect(me.status).toBe("online"));
    server.last.closing({ code: "TOKEN_EXPIRED", message: "expired", reconnect: true });
    server.last.break();
    await connections(2);
    await until(() => expect(me.status).toBe("online"));
    expect(server.connections.map(({ auth }) => auth.token)).toEqual(["token-1", "token-2"]);
    expect(closings).toEqual(["TOKEN_EXPIRED"]);
    expect(states).toEqual(["online", "offline", "connecting", "online"]);
  });

  test("a token refused at the door as expired is fetched anew after a wait", async () => {
    let fetched = 0;
    server.onConnection = (connection) => {
      if (connection.auth.token !== "token-1") return connection.accept();
      connection.socket.emit(EVENTS.closing, "", { code: "TOKEN_EXPIRED", message: "expired", reconnect: false });
      connection.socket.disconnect();
    };
    const { me } = open({ token: () => Promise.resolve(`token-${++fetched}`) });
    await until(() => expect(me.status).toBe("online"));
    expect(server.connections.map(({ auth }) => auth.token)).toEqual(["token-1", "token-2"]);
  });

  test("a token that cannot be fetched is reported and asked for again", async () => {
    let asked = 0;
    const token = () => {
      asked += 1;
      if (asked === 1) throw new Error("no network");
      return "t";
    };
    const { me, errors } = open({ token });
    await until(() => expect(me.status).toBe("online"));
    expect(errors).toEqual(["TOKEN_UNAVAILABLE"]);
    expect(server.connections).toHaveLength(1);
  });

  test("for good is final: what waits to be sent is rejected", async () => {
    const { me } = open({ token: "t" });
    await until(() => expect(me.status).toBe("online"));
    server.onSend = () => undefined;
    const send = me.to("bo").emit("message", "hi");
    await until(() => expect(server.sends).toHaveLength(1));
    server.last.closing({ code: "TOKEN_EXPIRED", message: "expired", reconnect: false });
    server.last.socket.disconnect();
    await expect(send).rejects.toMatchObject({ code: "CLIENT_CLOSED", cause: { code: "TOKEN_EXPIRED" } });
    expect(me.status).toBe("closed");
    await expect(me.to("bo").send("hi")).rejects.toMatchObject({ code: "CLIENT_CLOSED" });
    me.socket.connect(); // the application may try again
    await until(() => expect(me.status).toBe("online"));
  });

  test("by a middleware of the application's is final, and reported", async () => {
    server.io.use((_, next) => next(new Error("not you")));
    const { me, errors } = open();
    await until(() => expect(me.status).toBe("closed"));
    expect(errors).toEqual(["AUTHENTICATION_FAILED"]);
  });
});

describe("sending", () => {
  test("ends with the server's answer", async () => {
    const { me } = open();
    server.onSend = (_, answer) => answer({ ok: true, state: "pushed" });
    const receipt = await me.to("bo").emit("message", { text: "hi" });
    expect(receipt).toEqual({ to: "bo", key: server.sends[0]?.key, state: "pushed" });
    expect(server.sends).toEqual([{ to: "bo", event: "message", data: { text: "hi" }, key: receipt.key }]);
    const receipts: unknown[] = [];
    me.lifecycle.on("receipt", (notice) => receipts.push(notice));
    const notice = { to: "bo", key: receipt.key, state: "delivered" };
    server.last.socket.emit(EVENTS.receipt, server.last.secret, notice);
    await until(() => expect(receipts).toEqual([notice]));
  });

  test("is repeated with one key when the connection breaks before the answer, in the old order", async () => {
    const { me } = open();
    const first = me.to("bo").emit("message", 1);
    const second = me.to("bo").emit("message", 2);
    server.onSend = () => undefined;
    await until(() => expect(server.sends).toHaveLength(1));
    server.onSend = (_, answer) => answer({ ok: true, state: "accepted" });
    server.last.break();
    await Promise.all([first, second]);
    expect(server.sends.map(({ data }) => data)).toEqual([1, 1, 2]);
    expect(server.sends[0]?.key).toBe(server.sends[1]?.key);
  });

  test("rejects when the server refuses", async () => {
    const { me } = open();
    server.onSend = (_, answer) => answer({ ok: false, error: { code: "FORBIDDEN", message: "not him" } });
    await expect(me.to("bo").emit("message", "hi")).rejects.toMatchObject({ code: "FORBIDDEN", message: "not him" });
  });

  test("signals go to whoever is there, and nowhere while offline", async () => {
    const { me } = open();
    me.to("bo").volatile.emit("typing", "too early");
    await until(() => expect(me.status).toBe("online"));
    me.to("bo").volatile.emit("typing", "now");
    await until(() => expect(server.sends).toEqual([{ to: "bo", event: "typing", data: "now", volatile: true }]));
  });
});

describe("close", () => {
  test("confirms what has settled, rejects what waits, and leaves", async () => {
    const { me, note, states } = open({ ackIntervalMs: 10_000 });
    me.on("message", note);
    await until(() => expect(me.status).toBe("online"));
    server.publish("message", 1);
    await until(() => expect(me.position?.offset).toBe(1));
    server.onSend = () => undefined;
    const send = me.to("bo").emit("message", "hi");
    me.close();
    me.close();
    await expect(send).rejects.toMatchObject({ code: "CLIENT_CLOSED" });
    await until(() => expect(server.last.acks).toEqual([1]));
    await until(() => expect(server.last.socket.connected).toBe(false));
    expect(states.at(-1)).toBe("closed");
    expect(me.socket.listeners(EVENTS.message)).toEqual([]);
  });

  test("by a listener is final, whatever went on", async () => {
    server.onConnection = (connection) => {
      connection.accept();
      connection.frame({ offset: 9, at: 9 }, "message", "out of turn");
    };
    const { me, states } = open();
    me.lifecycle.on("status", (status) => status === "offline" && me.close());
    await until(() => expect(me.status).toBe("closed"));
    expect(states).toEqual(["online", "offline", "closed"]);
    const other = open();
    other.me.lifecycle.on("error", () => other.me.close());
    await until(() => expect(other.me.status).toBe("closed"));
    expect([me.socket.active, other.me.socket.active]).toEqual([false, false]);
    expect(other.states).toEqual(["online", "closed"]);
  });

  test("before the first dial prevents it", async () => {
    const { me } = open();
    me.close();
    const other = open();
    await until(() => expect(other.me.status).toBe("online"));
    expect(server.connections).toHaveLength(1);
  });
});
