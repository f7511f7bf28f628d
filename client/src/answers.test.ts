import type { QuestionAnswer } from "@usercast/protocol";
import { beforeEach, describe, expect, test } from "vitest";
import { FakeClock, settled } from "../test/fake-clock.ts";
import { Stage, until } from "../test/stage.ts";
import { type AnswerHandler, Answers } from "./answers.ts";
import { Lifecycle } from "./lifecycle.ts";

const TIMEOUT_MS = 1_000;

let clock: FakeClock;
let answers: Answers;
let given: [id: string, answer: QuestionAnswer][];
let errors: string[];

const ask = (id: string, event = "confirm", data: unknown = null): void =>
  answers.ask({ id, timeoutMs: TIMEOUT_MS }, event, data, (answer) => given.push([id, answer]));
const error = (code: string) => ({ ok: false, error: { code, message: expect.any(String) } });

/** A handler that hangs until the test ends it, with the signals it was given. */
const hanging = () => {
  const signals: AbortSignal[] = [];
  const finish: ((answer: unknown) => void)[] = [];
  const fail: ((cause: unknown) => void)[] = [];
  const handler: AnswerHandler = (_, { signal }) => {
    signals.push(signal);
    return new Promise((resolve, reject) => {
      finish.push(resolve);
      fail.push(reject);
    });
  };
  return { handler, signals, finish, fail };
};

beforeEach(() => {
  clock = new FakeClock();
  given = [];
  errors = [];
  const lifecycle = new Lifecycle();
  lifecycle.on("error", ({ code }) => errors.push(code));
  answers = new Answers({ clock, lifecycle, maxQuestions: 2 });
  answers.begin(1_000);
});

describe("a question", () => {
  test("is answered with what its handler returns", async () => {
    answers.set("confirm", (data, { timeoutMs }) => ({ data, timeoutMs }));
    ask("q1", "confirm", { order: 7 });
    await settled();
    expect(given).toEqual([["q1", { ok: true, data: { data: { order: 7 }, timeoutMs: TIMEOUT_MS } }]]);
    expect(clock.waiting).toBe(0);
  });

  test("is answered with what that resolves to, and with null for nothing", async () => {
    answers.set("confirm", async (data) => (data === 1 ? "yes" : undefined));
    ask("q1", "confirm", 1);
    ask("q2", "confirm", 2);
    await settled();
    expect(given).toEqual([
      ["q1", { ok: true, data: "yes" }],
      ["q2", { ok: true, data: null }],
    ]);
  });

  test("that nobody answers is refused", async () => {
    const off = answers.set("confirm", () => "yes");
    off();
    ask("q1");
    expect(given).toEqual([["q1", error("NO_HANDLER")]]);
    expect(errors).toEqual([]);
  });

  test("is put to the newest handler, which only its own call removes", async () => {
    const handler = () => "first";
    const off = answers.set("confirm", handler);
    answers.set("confirm", () => "second");
    off();
    ask("q1");
    await settled();
    expect(given).toEqual([["q1", { ok: true, data: "second" }]]);
  });

  test.each<[string, AnswerHandler]>([
    [
      "throws",
      () => {
        throw new Error("secret detail");
      },
    ],
    ["rejects", () => Promise.reject(new Error("secret detail"))],
    ["answers with what JSON cannot hold", () => 1n],
    [
      "answers with what contains itself",
      () => {
        const loop: unknown[] = [];
        loop.push(loop);
        return loop;
      },
    ],
    ["answers with more than the server takes", () => "x".repeat(1_001)],
  ])("whose handler %s is refused, and that is reported", async (_, handler) => {
    answers.set("confirm", handler);
    ask("q1");
    await settled();
    expect(given).toEqual([["q1", error("HANDLER_FAILED")]]);
    expect(JSON.stringify(given)).not.toContain("secret");
    expect(errors).toEqual(["HANDLER_FAILED"]);
    expect(clock.waiting).toBe(0);
  });

  test("that is put twice is answered once, while it runs and after", async () => {
    const { handler, finish, signals } = hanging();
    answers.set("confirm", handler);
    ask("q1");
    ask("q1");
    finish[0]?.("yes");
    await settled();
    ask("q1");
    await settled();
    expect(signals).toHaveLength(1);
    expect(given).toEqual([["q1", { ok: true, data: "yes" }]]);
  });

  test("is remembered while it runs, and after that as long as there is room", async () => {
    const { handler, signals } = hanging();
    answers.set("hang", handler);
    answers.set("confirm", () => "yes");
    ask("q1", "hang");
    for (const id of ["q2", "q3", "q4"]) {
      ask(id);
      await settled();
    }
    ask("q1", "hang");
    for (const id of ["q4", "q3", "q2"]) ask(id);
    await settled();
    expect(signals).toHaveLength(1);
    expect(given.map(([id]) => id)).toEqual(["q2", "q3", "q4", "q2"]);
  });

  test("beyond what may be answered at once is refused", async () => {
    const { handler, finish } = hanging();
    answers.set("confirm", handler);
    for (const id of ["q1", "q2", "q3"]) ask(id);
    expect(given).toEqual([["q3", error("OVERLOADED")]]);
    finish[0]?.("yes");
    await settled();
    ask("q4");
    finish[2]?.("yes");
    await settled();
    expect(given.map(([id]) => id)).toEqual(["q3", "q1", "q4"]);
  });
});

describe("an answer that is no longer wanted is not given, and its handler is told", () => {
  const endings: [string, (id: string) => void][] = [
    ["after the timeout", () => clock.advance(TIMEOUT_MS)],
    ["when the question is cancelled", (id) => answers.cancelled(id)],
    ["when the connection is gone", () => answers.end()],
  ];

  test.each(endings)("%s", async (_, end) => {
    const { handler, signals, finish } = hanging();
    answers.set("confirm", handler);
    ask("q1");
    expect(signals[0]?.aborted).toBe(false);
    end("q1");
    expect(signals[0]?.aborted).toBe(true);
    finish[0]?.("too late");
    await settled();
    expect(given).toEqual([]);
    expect(clock.waiting).toBe(0);
  });

  test.each(endings)("%s, and a handler that rejects because of that has not failed", async (_, end) => {
    const { handler, fail } = hanging();
    answers.set("confirm", handler);
    ask("q1");
    end("q1");
    fail[0]?.(new Error("aborted"));
    await settled();
    expect([given, errors]).toEqual([[], []]);
  });

  test("where the timer is later than the answer", async () => {
    const { handler, signals, finish } = hanging();
    answers.set("confirm", handler);
    ask("q1");
    // The task before the timer's took too long, and the answer comes between them.
    clock.stall(TIMEOUT_MS);
    finish[0]?.("too late");
    await settled();
    expect(given).toEqual([]);
    expect(signals[0]?.aborted).toBe(true);
  });

  test("but cancelling what was answered, or never asked, changes nothing", async () => {
    const { handler, signals, finish } = hanging();
    answers.set("confirm", handler);
    answers.cancelled("q1");
    ask("q1");
    finish[0]?.("yes");
    await settled();
    answers.cancelled("q1");
    answers.end();
    expect(signals[0]?.aborted).toBe(false);
    expect(given).toEqual([["q1", { ok: true, data: "yes" }]]);
  });

  test("but asked again on another connection, a question is answered there", async () => {
    const { handler, finish } = hanging();
    answers.set("confirm", handler);
    ask("q1");
    answers.end();
    ask("q1");
    finish[0]?.("of the old one");
    finish[1]?.("of the new one");
    await settled();
    expect(given).toEqual([["q1", { ok: true, data: "of the new one" }]]);
  });
});

describe("over a connection", () => {
  const stage = new Stage();

  test("questions that bear its secret are answered, forged ones are not heard", async () => {
    const { me } = stage.open();
    const heard: unknown[] = [];
    me.answer("confirm", (data) => {
      heard.push(data);
      return { yes: data };
    });
    await until(() => expect(me.status).toBe("online"));
    const { last } = stage.server;
    const forged: unknown[] = [];
    last.socket.emit("usercast:question", "guess", { id: "f1", timeoutMs: 60_000 }, "confirm", 0, () => forged.push("f1"));
    last.socket.emit("usercast:question", { id: "f2", timeoutMs: 60_000 }, "confirm", 0, () => forged.push("f2"));
    last.socket.emit("usercast:question", last.secret, { id: 3 }, "confirm", 0, () => forged.push("f3"));
    last.socket.emit("usercast:question", last.secret, { id: "f4", timeoutMs: 60_000 }, "confirm", 0);
    last.ask("q1", "confirm", { order: 7 });
    last.ask("q2", "unknown");
    await until(() => expect(last.answers).toHaveLength(2));
    expect(last.answers).toEqual([
      ["q2", error("NO_HANDLER")],
      ["q1", { ok: true, data: { yes: { order: 7 } } }],
    ]);
    expect([heard, forged]).toEqual([[{ order: 7 }], []]);
  });

  test("questions are no messages, and messages no questions", async () => {
    const { me, got, note } = stage.open();
    me.on("confirm", note);
    me.answer("message", note);
    await until(() => expect(me.status).toBe("online"));
    stage.server.last.ask("q1", "confirm");
    stage.server.publish("confirm", "a message");
    await until(() => expect(stage.server.last.answers).toEqual([["q1", error("NO_HANDLER")]]));
    await until(() => expect(got).toEqual(["a message"]));
  });

  test("what was asked before a reconnect is not answered after it", async () => {
    const { me, errors: reported } = stage.open();
    const { handler, signals, finish } = hanging();
    me.answer("confirm", handler);
    await until(() => expect(me.status).toBe("online"));
    const first = stage.server.last;
    first.ask("q1", "confirm");
    await until(() => expect(signals).toHaveLength(1));
    first.break();
    await until(() => expect(signals[0]?.aborted).toBe(true));
    await stage.connections(2);
    await until(() => expect(me.status).toBe("online"));
    finish[0]?.("too late");
    stage.server.last.ask("q2", "confirm");
    await until(() => expect(signals).toHaveLength(2));
    finish[1]?.("in time");
    await until(() => expect(stage.server.last.answers).toEqual([["q2", { ok: true, data: "in time" }]]));
    expect(first.answers).toEqual([]);
    expect(reported).toEqual([]);
  });

  test("cancelling and closing abort", async () => {
    const { me } = stage.open();
    const { handler, signals } = hanging();
    me.answer("confirm", handler);
    await until(() => expect(me.status).toBe("online"));
    const { last } = stage.server;
    for (const id of ["q1", "q2"]) last.ask(id, "confirm");
    await until(() => expect(signals).toHaveLength(2));
    last.socket.emit("usercast:cancelled", "guess", { id: "q2" });
    last.cancel("q1");
    await until(() => expect(signals[0]?.aborted).toBe(true));
    expect(signals[1]?.aborted).toBe(false);
    me.close();
    expect(signals[1]?.aborted).toBe(true);
  });
});
