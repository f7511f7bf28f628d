import { EVENTS, UsercastError } from "@usercast/protocol";
import { io } from "socket.io-client";
import { describe, expect, test } from "vitest";
import { fast, Stage, until } from "../test/stage.ts";
import { connect } from "./connect.ts";
import type { MessageInfo } from "./events.ts";
import { memoryStorage } from "./storage.ts";

const stage = new Stage();

describe("connecting", () => {
  test("dials after the current task, so that no message comes before its handler", async () => {
    stage.server.publish("message", "early");
    const { me, got, states, note } = stage.open({ token: "t", deviceId: "phone" });
    expect(me.socket.active).toBe(false);
    expect(me.status).toBe("connecting");
    me.on("message", note);
    await until(() => expect(got).toEqual(["early"]));
    expect(stage.server.last.auth).toMatchObject({ token: "t", usercast: { v: 1, device: "phone" } });
    expect(me.userId).toBe("ana");
    expect(states).toEqual(["online"]);
  });

  test("says of itself what the server has to know", async () => {
    const memory = { local: memoryStorage(), session: memoryStorage() };
    const hellos: unknown[] = [];
    for (const options of [{}, { deviceId: "phone" }, { storage: memory }, { storage: memory, readReceipts: false }]) {
      const { me } = stage.open(options);
      await until(() => expect(me.status).toBe("online"));
      const { transient, readReceipts } = stage.server.last.auth.usercast ?? {};
      hellos.push([transient, readReceipts]);
    }
    expect(hellos).toEqual([
      [true, undefined],
      [undefined, undefined],
      [undefined, undefined],
      [undefined, false],
    ]);
  });

  test("hands a message to its handlers with its place", async () => {
    const { me } = stage.open();
    const infos: unknown[] = [];
    me.on("message", (_, info) => infos.push(info));
    await stage.connections(1);
    stage.server.last.frame({ offset: 1, at: 1_001, from: "bo", key: "k" }, "message", "hi");
    const info: MessageInfo = { volatile: false, epoch: "epoch-1", offset: 1, at: 1_001, from: "bo", key: "k" };
    await until(() => expect(infos).toEqual([info]));
  });

  test("registers with the user id where clients are trusted, after each connect", async () => {
    const registered: unknown[] = [];
    stage.server.onConnection = (connection) => {
      connection.socket.on("hello", (id, answer) => {
        registered.push(id);
        answer({ ok: true, userId: "7" });
        connection.accept({ userId: "7" });
      });
    };
    const { me } = stage.open({ userId: 7, registerEvent: "hello" });
    await until(() => expect(me.status).toBe("online"));
    stage.server.last.break();
    await until(() => expect(registered).toEqual(["7", "7"]));
    await until(() => expect(me.status).toBe("online"));
  });

  test("with a token nothing is registered, whatever the user id", async () => {
    const registered: unknown[] = [];
    stage.server.onConnection = (connection) => {
      connection.socket.on("register", (id) => registered.push(id));
      setImmediate(() => connection.accept());
    };
    const { me } = stage.open({ userId: "ana", token: "t" });
    await me.to("bo").send("sent after any registration would have been");
    expect(registered).toEqual([]);
  });

  test("reports a registration that was refused", async () => {
    stage.server.onConnection = ({ socket }) =>
      socket.on("register", (_, answer) => answer({ ok: false, error: { code: "REGISTER_NOT_ALLOWED", message: "no" } }));
    const { me, errors } = stage.open({ userId: "ana" });
    await until(() => expect(errors).toEqual(["REGISTER_NOT_ALLOWED"]));
    expect(me.status).toBe("connecting");
  });

  test("reports a server that accepts the connection as nobody's", async () => {
    stage.server.onConnection = () => undefined;
    const { errors } = stage.open({ readyTimeoutMs: 20 });
    await until(() => expect(errors).toEqual(["NOT_REGISTERED"]));
  });

  test("takes a socket that is not connected yet, and keeps what the application has in its handshake", async () => {
    const socket = io(stage.url, { ...fast.socketOptions, autoConnect: false, auth: { tenant: "acme" } });
    const { me, got, note } = stage.open({ token: () => Promise.resolve("t") }, socket);
    const own: unknown[] = [];
    me.on("message", note);
    me.socket.on("message", (data) => own.push(data));
    await until(() => expect(me.status).toBe("online"));
    expect(stage.server.last.auth).toMatchObject({ tenant: "acme", token: "t", usercast: { v: 1 } });
    stage.server.last.socket.emit("message", "the application's own");
    stage.server.publish("message", "ours");
    await until(() => expect(got).toEqual(["ours"]));
    expect(own).toEqual(["the application's own"]);
    me.close();
    expect(socket.auth).toEqual({ tenant: "acme" });
    expect(() => connect(io(stage.url, { autoConnect: false }), { maxOutbox: 0 })).toThrow(UsercastError);
  });

  test("brings its own handshake over a connection that another namespace has open", async () => {
    stage.server.io.of("/own");
    const other = io(`${stage.url}/own`, { transports: ["websocket"] });
    await until(() => expect(other.connected).toBe(true));
    const { me } = stage.open({ socketOptions: { transports: ["websocket"] }, token: "t" });
    await until(() => expect(me.status).toBe("online"));
    expect(me.socket.io).toBe(other.io);
    expect(stage.server.last.auth).toMatchObject({ token: "t", usercast: { v: 1 } });
    other.close();
  });

  test("refuses a socket that is connected, and options that make no sense", async () => {
    const socket = io(stage.url, fast.socketOptions);
    await until(() => expect(socket.connected).toBe(true));
    expect(() => connect(socket)).toThrow(expect.objectContaining({ code: "INVALID_OPTIONS" }));
    socket.close();
    const codes = [{ handlerTimeoutMs: 0 }, { userId: "" }, { deviceId: "plain" }, { sendTimeoutMs: 86_400_001 }].map(
      (options) => {
        try {
          connect(stage.url, options);
        } catch (error) {
          return (error as UsercastError).code;
        }
        return "none";
      },
    );
    expect(codes).toEqual(["INVALID_OPTIONS", "INVALID_USER_ID", "INVALID_DEVICE", "INVALID_OPTIONS"]);
  });
});

describe("a server without its store", () => {
  test("is told of, and when it is over; not by others", async () => {
    const { me } = stage.open();
    const told: unknown[] = [];
    me.lifecycle.on("availability", ({ available }) => told.push(available));
    await until(() => expect(me.status).toBe("online"));
    const { last } = stage.server;
    last.socket.emit(EVENTS.availability, "not the secret", { available: false });
    last.availability(true);
    last.availability(false);
    last.availability(false);
    await until(() => expect(told).toEqual([false]));
    last.availability(true);
    await until(() => expect(told).toEqual([false, true]));
  });

  test("is over for who is accepted again", async () => {
    const { me } = stage.open();
    const told: unknown[] = [];
    me.lifecycle.on("availability", ({ available }) => told.push(available));
    await until(() => expect(me.status).toBe("online"));
    stage.server.last.availability(false);
    await until(() => expect(told).toEqual([false]));
    stage.server.last.break();
    await stage.connections(2);
    await until(() => expect(told).toEqual([false, true]));
  });
});

describe("being sent away", () => {
  test("an expired token is fetched anew for the next dial", async () => {
    let fetched = 0;
    const { me, states } = stage.open({ token: () => `token-${++fetched}` });
    const closings: unknown[] = [];
    me.lifecycle.on("closing", ({ code }) => closings.push(code));
    await until(() => expect(me.status).toBe("online"));
    stage.server.last.closing({ code: "TOKEN_EXPIRED", message: "expired", reconnect: true });
    stage.server.last.break();
    await stage.connections(2);
    await until(() => expect(me.status).toBe("online"));
    expect(stage.server.connections.map(({ auth }) => auth.token)).toEqual(["token-1", "token-2"]);
    expect(closings).toEqual(["TOKEN_EXPIRED"]);
    expect(states).toEqual(["online", "offline", "connecting", "online"]);
  });

  test("a token refused at the door as expired is fetched anew after a wait", async () => {
    let fetched = 0;
    stage.server.onConnection = (connection) => {
      if (connection.auth.token !== "token-1") return connection.accept();
      connection.socket.emit(EVENTS.closing, "", { code: "TOKEN_EXPIRED", message: "expired", reconnect: false });
      connection.socket.disconnect();
    };
    const { me } = stage.open({ token: () => Promise.resolve(`token-${++fetched}`) });
    await until(() => expect(me.status).toBe("online"));
    expect(stage.server.connections.map(({ auth }) => auth.token)).toEqual(["token-1", "token-2"]);
  });

  test("a token that cannot be fetched is reported and asked for again", async () => {
    let asked = 0;
    const token = () => {
      asked += 1;
      if (asked === 1) throw new Error("no network");
      return "t";
    };
    const { me, errors } = stage.open({ token });
    await until(() => expect(me.status).toBe("online"));
    expect(errors).toEqual(["TOKEN_UNAVAILABLE"]);
    expect(stage.server.connections).toHaveLength(1);
  });

  test("for good is final: what waits to be sent is rejected", async () => {
    const { me } = stage.open({ token: "t" });
    await until(() => expect(me.status).toBe("online"));
    stage.server.onSend = () => undefined;
    const send = me.to("bo").emit("message", "hi");
    await until(() => expect(stage.server.sends).toHaveLength(1));
    stage.server.last.closing({ code: "TOKEN_EXPIRED", message: "expired", reconnect: false });
    stage.server.last.socket.disconnect();
    await expect(send).rejects.toMatchObject({ code: "CLIENT_CLOSED", cause: { code: "TOKEN_EXPIRED" } });
    expect(me.status).toBe("closed");
    await expect(me.to("bo").send("hi")).rejects.toMatchObject({ code: "CLIENT_CLOSED" });
    me.socket.connect(); // the application may try again
    await until(() => expect(me.status).toBe("online"));
  });

  test("by a middleware of the application's is final, and reported", async () => {
    stage.server.io.use((_, next) => next(new Error("not you")));
    const { me, errors } = stage.open();
    await until(() => expect(me.status).toBe("closed"));
    expect(errors).toEqual(["AUTHENTICATION_FAILED"]);
  });
});

describe("sending", () => {
  test("ends with the server's answer", async () => {
    const { me } = stage.open();
    const { to, key, state } = await me.to("bo").emit("message", { text: "hi" });
    expect({ to, key, state }).toEqual({ to: "bo", key: stage.server.sends[0]?.key, state: "accepted" });
    expect(stage.server.sends).toEqual([{ to: "bo", event: "message", data: { text: "hi" }, key }]);
  });

  test("is repeated with one key when the connection breaks before the answer, in the old order", async () => {
    const { me } = stage.open();
    const first = me.to("bo").emit("message", 1);
    const second = me.to("bo").emit("message", 2);
    stage.server.onSend = () => undefined;
    await until(() => expect(stage.server.sends).toHaveLength(1));
    stage.server.onSend = (_, answer) => answer({ ok: true, state: "accepted" });
    stage.server.last.break();
    await Promise.all([first, second]);
    expect(stage.server.sends.map(({ data }) => data)).toEqual([1, 1, 2]);
    expect(stage.server.sends[0]?.key).toBe(stage.server.sends[1]?.key);
  });

  test("rejects when the server refuses", async () => {
    const { me } = stage.open();
    stage.server.onSend = (_, answer) => answer({ ok: false, error: { code: "FORBIDDEN", message: "not him" } });
    await expect(me.to("bo").emit("message", "hi")).rejects.toMatchObject({ code: "FORBIDDEN", message: "not him" });
  });

  test("signals go to whoever is there, and nowhere while offline", async () => {
    const { me } = stage.open();
    me.to("bo").volatile.emit("typing", "too early");
    await until(() => expect(me.status).toBe("online"));
    me.to("bo").volatile.emit("typing", "now");
    await until(() => expect(stage.server.sends).toEqual([{ to: "bo", event: "typing", data: "now", volatile: true }]));
  });
});

describe("close", () => {
  test("confirms what has settled, rejects what waits, and leaves", async () => {
    const { me, note, states } = stage.open({ ackIntervalMs: 10_000 });
    me.on("message", note);
    await until(() => expect(me.status).toBe("online"));
    stage.server.publish("message", 1);
    await until(() => expect(me.position?.offset).toBe(1));
    stage.server.onSend = () => undefined;
    const send = me.to("bo").emit("message", "hi");
    me.close();
    me.close();
    await expect(send).rejects.toMatchObject({ code: "CLIENT_CLOSED" });
    await until(() => expect(stage.server.last.acks).toEqual([1]));
    await until(() => expect(stage.server.last.socket.connected).toBe(false));
    expect(states.at(-1)).toBe("closed");
    expect(me.socket.listeners(EVENTS.message)).toEqual([]);
  });

  test("by a listener is final, whatever went on", async () => {
    stage.server.onConnection = (connection) => {
      connection.accept();
      connection.frame({ offset: 9, at: 9 }, "message", "out of turn");
    };
    const { me, states } = stage.open();
    me.lifecycle.on("status", (status) => status === "offline" && me.close());
    await until(() => expect(me.status).toBe("closed"));
    expect(states).toEqual(["online", "offline", "closed"]);
    const other = stage.open();
    other.me.lifecycle.on("error", () => other.me.close());
    await until(() => expect(other.me.status).toBe("closed"));
    expect([me.socket.active, other.me.socket.active]).toEqual([false, false]);
    expect(other.states).toEqual(["online", "closed"]);
  });

  test("before the first dial prevents it", async () => {
    const { me } = stage.open();
    me.close();
    const other = stage.open();
    await until(() => expect(other.me.status).toBe("online"));
    expect(stage.server.connections).toHaveLength(1);
  });
});
