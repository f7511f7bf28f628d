import { LIMITS, type ReceiptNotice, type SendState, type StateRequest } from "@usercast/protocol";
import { beforeEach, describe, expect, test } from "vitest";
import { FakeClock } from "../test/fake-clock.ts";
import { Stage, until } from "../test/stage.ts";
import { Lifecycle } from "./lifecycle.ts";
import { Receipts } from "./receipts.ts";
import type { Sent } from "./sent.ts";

const LIFE_MS = 60_000;

let clock: FakeClock;
let receipts: Receipts;
let told: string[];
let errors: string[];
let asked: { requests: readonly StateRequest[]; answer: (answer?: unknown) => void }[];

const receiptsOf = (options: { maxFollowed?: number; readReceipts?: boolean } = {}): Receipts => {
  const lifecycle = new Lifecycle();
  lifecycle.on("receipt", ({ to, key, state }) => told.push(`${to} ${key} ${state}`));
  lifecycle.on("error", ({ code }) => errors.push(code));
  return new Receipts({ clock, lifecycle, maxFollowed: 3, readReceipts: true, ...options });
};
const online = () => receipts.online((requests, answer) => asked.push({ requests, answer }), LIFE_MS);
const accept = (key: string, state: SendState = "accepted", follow = true): Sent =>
  receipts.accepted({ to: "bo", key }, state, follow);
const hear = (key: string, state: SendState, to = "bo"): void => receipts.heard({ to, key, state });
const keysAsked = (index: number) => asked[index]?.requests.map(({ key }) => key);

beforeEach(() => {
  clock = new FakeClock();
  told = [];
  errors = [];
  asked = [];
  receipts = receiptsOf();
  online();
});

describe("a message", () => {
  test("moves with what is told of it, and tells its listeners until they leave", () => {
    const sent = accept("k1");
    const states: string[] = [];
    const off = sent.on("change", (state) => states.push(state));
    expect(sent).toMatchObject({ to: "bo", key: "k1", state: "accepted" });
    hear("k1", "delivered");
    expect(sent.state).toBe("delivered");
    off();
    hear("k1", "read");
    expect(sent.state).toBe("read");
    expect(states).toEqual(["delivered"]);
    expect(told).toEqual(["bo k1 delivered", "bo k1 read"]);
  });

  test("never moves backwards, and each state is told once", () => {
    const sent = accept("k1");
    for (const state of ["read", "delivered", "read", "accepted"] as const) hear("k1", state);
    expect(sent.state).toBe("read");
    expect(told).toEqual(["bo k1 read"]);
  });

  test("knows what was told before the answer to its send", () => {
    hear("k1", "delivered");
    const sent = accept("k1");
    expect(sent.state).toBe("delivered");
    hear("k1", "delivered");
    expect(told).toEqual(["bo k1 delivered"]);
  });

  test("whose send is answered with a later state is told of like one that moves", () => {
    expect(accept("k1", "delivered").state).toBe("delivered");
    hear("k1", "delivered");
    expect(told).toEqual(["bo k1 delivered"]);
  });

  test("is none of another recipient's with the same key", () => {
    const sent = accept("k1");
    hear("k1", "delivered", "cy");
    expect(sent.state).toBe("accepted");
    expect(told).toEqual(["cy k1 delivered"]);
  });

  test("whose listener throws moves all the same", () => {
    const sent = accept("k1");
    const states: string[] = [];
    sent.on("change", () => {
      throw new Error("no");
    });
    sent.on("change", (state) => states.push(state));
    hear("k1", "delivered");
    expect([states, errors, told]).toEqual([["delivered"], ["HANDLER_FAILED"], ["bo k1 delivered"]]);
  });

  test.each([
    ["an unknown state", { to: "bo", key: "k1", state: "eaten" }],
    ["no state", { to: "bo", key: "k1", state: undefined }],
    ["no key", { to: "bo", key: undefined, state: "read" }],
    ["a recipient that is no text", { to: {}, key: "k1", state: "read" }],
  ])("is not moved by a notice with %s", (_, notice) => {
    const sent = accept("k1");
    receipts.heard(notice);
    expect(sent.state).toBe("accepted");
    expect(told).toEqual([]);
  });

  test("of another page is told of, each state once", () => {
    hear("theirs", "delivered");
    hear("theirs", "delivered");
    hear("theirs", "read");
    expect(told).toEqual(["bo theirs delivered", "bo theirs read"]);
  });
});

describe("after a connection", () => {
  test("the states of messages that may still move are asked for", () => {
    const [first, second] = [accept("k1"), accept("k2")];
    hear("k2", "read");
    online();
    expect(asked.map(({ requests }) => requests)).toEqual([[{ to: "bo", key: "k1" }]]);
    asked[0]?.answer({ ok: true, states: ["delivered"] });
    expect([first.state, second.state]).toEqual(["delivered", "read"]);
    expect(told).toEqual(["bo k2 read", "bo k1 delivered"]);
  });

  test("nothing is asked where the server does not tell receipts, or the end is reached", () => {
    accept("k1", "accepted", false);
    accept("k2", "read");
    online();
    expect(asked).toEqual([]);
    receipts = receiptsOf({ readReceipts: false });
    online();
    accept("k1");
    hear("k1", "delivered");
    online();
    expect(asked).toEqual([]);
  });

  test("a bounded number is asked for at once, one request after the other", () => {
    receipts = receiptsOf({ maxFollowed: 1_000 });
    online();
    const all = Array.from({ length: LIMITS.stateRequests + 1 }, (_, i) => accept(`k${i}`));
    online();
    expect(asked.map(({ requests }) => requests.length)).toEqual([LIMITS.stateRequests]);
    asked[0]?.answer({ ok: true, states: asked[0].requests.map(() => "read") });
    expect(asked.map(({ requests }) => requests.length)).toEqual([LIMITS.stateRequests, 1]);
    expect(all.filter(({ state }) => state === "read")).toHaveLength(LIMITS.stateRequests);
    asked[1]?.answer({ ok: true, states: ["read"] });
    expect(asked).toHaveLength(2);
    expect(all.at(-1)?.state).toBe("read");
  });

  test.each([
    ["no answer", undefined],
    ["a refusal that can pass", { ok: false, error: { code: "RATE_LIMITED", message: "" } }],
  ])("%s changes nothing, and is asked for again after longer and longer waits", (_, answer) => {
    const sent = accept("k1");
    online();
    asked[0]?.answer(answer);
    clock.advance(999);
    expect(asked).toHaveLength(1);
    clock.advance(1);
    asked[1]?.answer(answer);
    clock.advance(1_999);
    expect(asked).toHaveLength(2);
    clock.advance(1);
    asked[2]?.answer({ ok: true, states: ["delivered"] });
    expect(sent.state).toBe("delivered");
    expect(clock.waiting).toBe(0);
  });

  test.each([
    ["a refusal for good", { ok: false, error: { code: "INVALID_REQUEST", message: "" } }],
    ["a refusal with a code of a newer server", { ok: false, error: { code: "NOT_INVENTED_YET", message: "" } }],
    ["too few states", { ok: true, states: [] }],
    ["too many states", { ok: true, states: ["read", "read"] }],
    ["no list", { ok: true, states: "read" }],
    ["no object", "read"],
  ])("%s changes nothing, and is asked for again on the next one", (_, answer) => {
    const sent = accept("k1");
    online();
    asked[0]?.answer(answer);
    expect(sent.state).toBe("accepted");
    expect(clock.waiting).toBe(0);
    online();
    asked[1]?.answer({ ok: true, states: ["delivered"] });
    expect(sent.state).toBe("delivered");
  });

  test("nothing is asked any more, nor waited for", () => {
    accept("k1");
    online();
    asked[0]?.answer();
    receipts.offline();
    expect(clock.waiting).toBe(0);
    online();
    receipts.offline();
    asked[1]?.answer(); // Socket.IO says that the answer will not come
    expect(clock.waiting).toBe(0);
    online();
    asked[2]?.answer();
    clock.advance(1_000); // the first wait again
    expect(asked).toHaveLength(4);
    asked[3]?.answer({ ok: true, states: ["read"] });
    online();
    expect(asked).toHaveLength(4);
  });

  test("a state that is unknown, here or there, is passed over", () => {
    const [first, second, third] = [accept("k1"), accept("k2"), accept("k3")];
    online();
    asked[0]?.answer({ ok: true, states: [null, "eaten", "delivered"] });
    expect([first.state, second.state, third.state]).toEqual(["accepted", "accepted", "delivered"]);
  });

  test("an answer that comes when the next connection stands is left to that one's", () => {
    const sent = accept("k1");
    online();
    online();
    asked[0]?.answer({ ok: true, states: ["read"] });
    expect(sent.state).toBe("accepted");
    asked[1]?.answer({ ok: true, states: ["read"] });
    expect(sent.state).toBe("read");
  });

  test("another user's messages are forgotten", () => {
    const sent = accept("k1");
    hear("k1", "delivered");
    receipts.clear();
    online();
    expect(asked).toEqual([]);
    hear("k1", "delivered");
    hear("k1", "read");
    expect(sent.state).toBe("delivered");
    expect(told).toEqual(["bo k1 delivered", "bo k1 delivered", "bo k1 read"]);
  });
});

describe("following", () => {
  test("of other pages' messages remembers those that moved last", () => {
    hear("x1", "delivered");
    for (const key of ["x2", "x3"]) hear(key, "read");
    hear("x1", "read");
    for (const key of ["x4", "x5"]) hear(key, "read");
    hear("x1", "read");
    expect(told.filter((line) => line === "bo x1 read")).toHaveLength(1);
  });

  test("is bounded: the oldest is no longer followed", () => {
    const all = ["k1", "k2", "k3", "k4"].map((key) => accept(key));
    online();
    expect(keysAsked(0)).toEqual(["k2", "k3", "k4"]);
    for (const key of ["k1", "k2"]) hear(key, "read");
    expect(all.map(({ state }) => state)).toEqual(["accepted", "read", "accepted", "accepted"]);
    // Somebody's message all the same, and one more than is remembered.
    expect(told).toEqual(["bo k1 read", "bo k2 read"]);
    for (const key of ["x1", "x2", "x3"]) hear(key, "read");
    hear("k1", "read");
    expect(told.filter((line) => line === "bo k1 read")).toHaveLength(2);
  });

  test("ends with the life of the key", () => {
    const sent = accept("k1");
    clock.advance(LIFE_MS - 1);
    hear("k1", "delivered");
    expect(sent.state).toBe("delivered");
    online();
    expect(keysAsked(0)).toEqual(["k1"]);
    clock.advance(1);
    online();
    expect(asked).toHaveLength(1);
    hear("k1", "read");
    expect(sent.state).toBe("delivered");
  });
});

describe("over a connection", () => {
  const stage = new Stage();
  const grant = () => {
    stage.server.onSend = (_, answer) => answer({ ok: true, state: "accepted", receipts: true });
  };

  test("receipts that bear its secret move a message, forged ones do not", async () => {
    grant();
    const { me } = stage.open();
    const notices: ReceiptNotice[] = [];
    me.lifecycle.on("receipt", (notice) => notices.push(notice));
    const { to, key, ...rest } = await me.to("bo").emit("message", "hi");
    expect(rest).toEqual({});
    const sent = await me.to("bo").emit("message", "again");
    const { last } = stage.server;
    last.socket.emit("usercast:receipt", "guess", { to, key: sent.key, state: "read" });
    last.socket.emit("usercast:receipt", { to, key: sent.key, state: "read" });
    last.receipt({ to, key: sent.key, state: "delivered" });
    await until(() => expect(sent.state).toBe("delivered"));
    expect(notices).toEqual([{ to: "bo", key: sent.key, state: "delivered" }]);
    expect(key).not.toBe(sent.key);
  });

  test("nothing is asked of messages whose server tells no receipts, nor of another user's", async () => {
    const { me } = stage.open();
    await me.to("bo").emit("message", "without receipts");
    stage.server.last.break();
    await stage.connections(2);
    grant();
    await me.to("bo").emit("message", "ana's");
    stage.server.userId = "cy";
    stage.server.last.break();
    await until(() => expect(me.userId).toBe("cy"));
    await me.to("bo").emit("message", "after the time for questions");
    expect(stage.server.stateRequests).toEqual([]);
  });

  test("what happened while there was none is asked for on the next", async () => {
    grant();
    const { me } = stage.open();
    const sent = await me.to("bo").emit("message", "hi");
    const states: string[] = [];
    sent.on("change", (state) => states.push(state));
    stage.server.onState = (requests, answer) => answer({ ok: true, states: requests.map(() => "read") });
    stage.server.last.break();
    await until(() => expect(states).toEqual(["read"]));
    expect(stage.server.stateRequests).toEqual([[{ to: "bo", key: sent.key }]]);
    stage.server.last.break();
    await stage.connections(3);
    await until(() => expect(me.status).toBe("online"));
    await me.to("bo").emit("message", "after");
    expect(stage.server.stateRequests).toHaveLength(1);
  });
});
