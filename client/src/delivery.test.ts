import { EVENTS } from "@usercast/protocol";
import { describe, expect, test } from "vitest";
import { Stage, until } from "../test/stage.ts";
import type { ConnectOptions } from "./options.ts";
import { memoryStorage } from "./storage.ts";

const stage = new Stage();

describe("the stream", () => {
  test("confirms what has settled, per connection", async () => {
    const { me, note } = stage.open();
    me.on("message", note);
    await stage.connections(1);
    stage.server.publish("message", 1);
    await until(() => expect(stage.server.last.acks).toEqual([1]));
    stage.server.last.break();
    await stage.connections(2);
    stage.server.publish("message", 2);
    // The place it resumed from comes first: the server may not have heard of it.
    await until(() => expect(stage.server.last.acks).toEqual([1, 2]));
  });

  test("resumes where it had settled, and starts nothing twice", async () => {
    const { me, got } = stage.open();
    const finish: (() => void)[] = [];
    me.on("message", (data) => {
      got.push(data);
      return new Promise<void>((resolve) => finish.push(resolve));
    });
    await stage.connections(1);
    for (const text of ["a", "b", "c"]) stage.server.publish("message", text);
    await until(() => expect(got).toEqual(["a", "b", "c"]));
    finish[0]?.();
    await until(() => expect(stage.server.last.acks).toEqual([1]));
    stage.server.last.break();
    await stage.connections(2);
    stage.server.publish("message", "d");
    await until(() => expect(got).toEqual(["a", "b", "c", "d"]));
    expect(stage.server.last.auth.usercast?.position).toEqual(stage.server.positionAt(1));
    for (const done of finish) done();
    await until(() => expect(stage.server.last.acks).toEqual([1, 4]));
  });

  test("ignores a ready that was relayed before the real one came", async () => {
    stage.server.onConnection = () => {};
    const { me, got, note } = stage.open();
    me.on("message", note);
    await until(() => expect(stage.server.connections.length).toBe(1));
    const { last } = stage.server;
    const place = { epoch: "forged", offset: 0, at: 0 };
    const limits = { windowMessages: 1, maxPayloadBytes: 1, idempotencyMs: 1 };
    const forged = {
      userId: "mallory",
      secret: "forged",
      device: "d",
      session: "guessed",
      position: place,
      head: place,
      read: 0,
      limits,
    };
    last.socket.emit(EVENTS.ready, forged);
    last.socket.emit(EVENTS.message, "forged", { offset: 1, at: 1 }, "message", "forged");
    last.accept();
    stage.server.publish("message", "real");
    await until(() => expect(got).toEqual(["real"]));
    expect(me.userId).toBe(stage.server.userId);
  });

  test("goes on on the same socket when a server that had let go of it takes it again", async () => {
    const { me, got, note } = stage.open();
    me.on("message", note);
    await stage.connections(1);
    const { last } = stage.server;
    last.closing({ code: "SERVER_CLOSED", message: "", reconnect: true });
    await until(() => expect(me.status).toBe("offline"));
    expect(me.socket.connected).toBe(true);
    last.accept();
    await until(() => expect(me.status).toBe("online"));
    stage.server.publish("message", "again");
    await until(() => expect(got).toEqual(["again"]));
  });

  test("ignores what does not bear the connection's secret", async () => {
    const { me, got, told, note } = stage.open();
    me.on("message", note);
    await until(() => expect(me.status).toBe("online"));
    const { socket, secret } = stage.server.last;
    socket.emit(EVENTS.message, "guess", { offset: 1, at: 1 }, "message", "forged");
    socket.emit(EVENTS.message, undefined, { offset: 1, at: 1 }, "message", "forged");
    socket.emit(EVENTS.signal, "", {}, "message", "forged");
    socket.emit(EVENTS.missed, "", { after: 0, before: 9, reason: "trimmed" });
    socket.emit(EVENTS.ready, {
      userId: "eve",
      secret: "guess",
      position: stage.server.positionAt(9),
      head: stage.server.positionAt(9),
      limits: {},
    });
    socket.emit(EVENTS.message, "guess", { offset: 10, at: 10 }, "message", "forged");
    socket.emit(EVENTS.signal, secret, {}, "message", "a signal");
    stage.server.publish("message", "genuine");
    await until(() => expect(got).toEqual(["a signal", "genuine"]));
    expect(told).toEqual([]);
    expect(me.userId).toBe("ana");
  });

  test("ignores what is relayed before the server has told its secret", async () => {
    stage.server.onConnection = (connection) => {
      connection.socket.emit(EVENTS.message, "", { offset: 1, at: 1 }, "message", "forged");
      connection.socket.emit(EVENTS.signal, "", {}, "message", "forged");
      connection.accept();
    };
    const { me, got, errors, note } = stage.open();
    me.on("message", note);
    await until(() => expect(me.status).toBe("online"));
    stage.server.publish("message", "genuine");
    await until(() => expect(got).toEqual(["genuine"]));
    expect(errors).toEqual([]);
  });

  test("does not hand on a repeated frame, nor the server's extra arguments", async () => {
    const { me } = stage.open();
    const calls: unknown[][] = [];
    me.on("message", (...args) => calls.push(args));
    await until(() => expect(me.status).toBe("online"));
    const { socket, secret } = stage.server.last;
    for (let i = 0; i < 2; i++) socket.emit(EVENTS.message, secret, { offset: 1, at: 1_001 }, "message", "once", null);
    stage.server.log.push({ offset: 1, at: 1_001, event: "message", data: "once" });
    stage.server.publish("message", "next");
    await until(() => expect(calls.map(([data]) => data)).toEqual(["once", "next"]));
    expect(calls[0]).toHaveLength(2);
  });

  test("is begun again from what had settled when a message is lost on the way", async () => {
    const { me, got, errors, note } = stage.open();
    me.on("message", note);
    await until(() => expect(me.status).toBe("online"));
    stage.server.publish("message", "a");
    for (const offset of [2, 3]) stage.server.log.push({ offset, at: 1_000 + offset, event: "message", data: `late ${offset}` });
    stage.server.last.frame({ offset: 3, at: 1_003 }, "message", "out of turn");
    await until(() => expect(got).toEqual(["a", "late 2", "late 3"]));
    expect(errors).toEqual(["STREAM_BROKEN"]);
    expect(stage.server.connections).toHaveLength(2);
  });

  test("tells what was missed, once, and confirms it", async () => {
    const { me, told } = stage.open();
    stage.server.onConnection = (connection) => {
      connection.accept({ head: stage.server.positionAt(3) });
      connection.missed({ after: 0, before: 4, reason: "trimmed" });
    };
    await until(() => expect(stage.server.last.acks).toEqual([3]));
    stage.server.last.break();
    await stage.connections(2);
    await until(() => expect(stage.server.last.acks).toEqual([3]));
    expect(told).toEqual([{ after: 0, before: 4, reason: "trimmed" }]);
    expect(me.status).toBe("online");
  });

  test("begins anew with another epoch", async () => {
    const { me, got, told, note } = stage.open();
    me.on("message", note);
    await stage.connections(1);
    for (const text of ["a", "b"]) stage.server.publish("message", text);
    await until(() => expect(got).toEqual(["a", "b"]));
    stage.server.onConnection = (connection) => {
      connection.accept();
      connection.missed({ after: 2, before: 1, reason: "epoch" });
    };
    const first = stage.server.last;
    stage.server.epoch = "epoch-2";
    stage.server.log = [];
    first.break();
    await stage.connections(2);
    stage.server.publish("message", "of the new life");
    await until(() => expect(got).toEqual(["a", "b", "of the new life"]));
    expect(told).toEqual([{ after: 2, before: 1, reason: "epoch" }]);
    expect(me.position).toEqual(stage.server.positionAt(1));
  });

  test("waits for a handler that is set late", async () => {
    const { me, got, note } = stage.open({ handlerWaitMs: 60_000 });
    me.on("other", note);
    await until(() => expect(me.status).toBe("online"));
    stage.server.publish("late", 1);
    stage.server.publish("other", 2);
    stage.server.last.socket.emit(EVENTS.signal, stage.server.last.secret, {}, "other", "passed both");
    await until(() => expect(got).toEqual(["passed both"]));
    me.on("late", note);
    await until(() => expect(got).toEqual(["passed both", 1, 2]));
  });
});

describe("handlers", () => {
  test("are removed by what `on` answers, by `off`, and by themselves after `once`", async () => {
    const { me, got } = stage.open({ handlerWaitMs: 0 });
    const unhandled: unknown[] = [];
    me.lifecycle.on("unhandled", ({ data }) => unhandled.push(data));
    me.once("message", (data) => got.push(["once", data]));
    const off = me.on("message", (data) => got.push(["on", data]));
    await until(() => expect(me.status).toBe("online"));
    stage.server.publish("message", 1);
    stage.server.publish("message", 2);
    await until(() =>
      expect(got).toEqual([
        ["once", 1],
        ["on", 1],
        ["on", 2],
      ]),
    );
    off();
    stage.server.publish("message", 3);
    await until(() => expect(unhandled).toEqual([3]));
    me.on("message", (data) => got.push(data));
    me.off("message");
    stage.server.publish("message", 4);
    await until(() => expect(unhandled).toEqual([3, 4]));
  });

  test("that fail are reported, and the stream goes on", async () => {
    const { me, got, errors } = stage.open();
    me.on("message", (data) => {
      got.push(data);
      throw new Error("no");
    });
    await stage.connections(1);
    stage.server.publish("message", 1);
    stage.server.publish("message", 2);
    await until(() => expect(stage.server.last.acks.at(-1)).toBe(2));
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
    const before = stage.open(options);
    before.me.on("message", (data) => (data === "hangs" ? new Promise(() => undefined) : undefined));
    await stage.connections(1);
    for (const data of ["settles", "hangs", "settles too"]) stage.server.publish("message", data);
    await until(() => expect(before.me.position?.offset).toBe(1));
    const { device, session } = stage.server.last.auth.usercast ?? {};
    before.me.pageHidden();
    before.me.socket.io.engine.close(); // the page is gone without a word
    before.me.close();
    const after = stage.open(options);
    after.me.on("message", after.note);
    await until(() => expect(after.got).toEqual(["hangs", "settles too"]));
    expect(stage.server.last.auth.usercast).toMatchObject({ device, session, position: stage.server.positionAt(1) });
  });

  test("forgets its place when the server says that it is another user's", async () => {
    const options = page();
    stage.server.log = [1, 2, 3].map((offset) => ({ offset, at: 1_000 + offset, event: "message", data: offset }));
    const before = stage.open(options);
    before.me.on("message", before.note);
    await until(() => expect(before.got).toEqual([1, 2, 3]));
    before.me.close();
    stage.server.userId = "bo";
    stage.server.epoch = "epoch-of-bo";
    stage.server.cursor = 1;
    stage.server.onConnection = (connection) => {
      const misled = connection.auth.usercast?.position !== undefined;
      connection.accept();
      if (misled) connection.missed({ after: 3, before: 2, reason: "epoch" });
    };
    const after = stage.open(options);
    after.me.on("message", after.note);
    await until(() => expect(after.got).toEqual([2, 3]));
    expect(after.told).toEqual([]);
    expect(after.me.userId).toBe("bo");
    expect(stage.server.connections.map(({ auth }) => auth.usercast?.position?.offset)).toEqual([undefined, 3, undefined]);
  });

  test("does not show one user what waited for another", async () => {
    const { me, got, note } = stage.open({ handlerWaitMs: 60_000 });
    await until(() => expect(me.status).toBe("online"));
    stage.server.publish("late", "for ana");
    stage.server.last.socket.emit(EVENTS.signal, stage.server.last.secret, {}, "mark", 1);
    me.on("mark", note);
    await until(() => expect(got).toEqual([1]));
    stage.server.userId = "bo";
    stage.server.epoch = "epoch-of-bo";
    stage.server.log = [];
    stage.server.last.break();
    await until(() => expect(me.userId).toBe("bo"));
    me.on("late", note);
    stage.server.publish("late", "for bo");
    await until(() => expect(got).toEqual([1, "for bo"]));
  });

  test("does not bring its place when the token is another user's", async () => {
    const token = (sub: string) => `h.${btoa(JSON.stringify({ sub }))}.s`;
    const options = page();
    const before = stage.open({ ...options, token: token("ana") });
    await until(() => expect(before.me.status).toBe("online"));
    before.me.close();
    stage.server.userId = "bo";
    const after = stage.open({ ...options, token: token("bo") });
    await until(() => expect(after.me.status).toBe("online"));
    after.me.close();
    const again = stage.open({ ...options, token: token("bo") });
    await until(() => expect(again.me.status).toBe("online"));
    const brought = stage.server.connections.map(({ auth }) => auth.usercast?.position?.offset);
    expect(brought).toEqual([undefined, undefined, 0]);
  });
});
