import { expectTypeOf, test } from "vitest";
import { connect, type Info, type MessageInfo, type SendState, type Sent } from "./index.ts";

// Checked by the type checker alone; nothing here runs.

interface Incoming {
  message: (data: { text: string }) => void;
  ping: () => void;
}

interface Outgoing {
  message: (data: string) => void;
  "order:shipped": (order: { id: number }) => void;
  ping: () => void;
}

test("an event map types handlers and sends", () => {
  const me = connect<Incoming, Outgoing>("http://localhost:3000");
  const off = me.on("message", (data, info) => {
    expectTypeOf(data).toEqualTypeOf<{ text: string }>();
    expectTypeOf(info).toEqualTypeOf<Info>();
    expectTypeOf(info.from).toEqualTypeOf<string | undefined>();
    if (!info.volatile) expectTypeOf(info).toEqualTypeOf<MessageInfo>();
  });
  expectTypeOf(off).toEqualTypeOf<() => void>();
  me.on("ping", (data) => expectTypeOf(data).toEqualTypeOf<null>());
  me.on("message", async (_, { offset }) => offset);
  // @ts-expect-error there is no such event
  me.on("order:shipped", () => undefined);
  // @ts-expect-error the data is of another type
  me.on("message", (data: number) => data);

  expectTypeOf(me.to("bo").emit("message", "hi")).toEqualTypeOf<Promise<Sent>>();
  expectTypeOf(me.to(7).ttl("1h").emit("order:shipped", { id: 1 })).toEqualTypeOf<Promise<Sent>>();
  expectTypeOf(me.to("bo").volatile.emit("ping")).toEqualTypeOf<void>();
  me.to("bo").send("hi");
  // @ts-expect-error the data is of another type
  me.to("bo").emit("message", { text: "hi" });
  // @ts-expect-error the data is missing
  me.to("bo").emit("order:shipped");
  // @ts-expect-error exactly one piece of data
  me.to("bo").emit("message", "hi", "there");
  // @ts-expect-error this event carries no data
  me.to("bo").volatile.emit("ping", 1);
  // @ts-expect-error there is no such event
  me.to("bo").emit("mesage", "hi");
});

test("users send each other what they receive, unless said otherwise", () => {
  const me = connect<Incoming>("http://localhost:3000");
  me.to("bo").emit("message", { text: "hi" });
  // @ts-expect-error the data is of another type
  me.to("bo").emit("message", "hi");
});

test("without an event map any event may carry anything", () => {
  const me = connect("http://localhost:3000", { token: async () => "token" });
  me.on("anything", (data) => expectTypeOf(data).toEqualTypeOf<unknown>());
  me.to("bo").emit("anything", { at: "all" });
  me.to("bo").emit("anything");
  me.to("bo").volatile.send("hi");
  // @ts-expect-error exactly one piece of data
  me.to("bo").emit("anything", 1, 2);
});

test("a map whose events carry two pieces of data is refused", () => {
  interface TwoData {
    move: (x: number, y: number) => void;
  }
  // @ts-expect-error exactly one piece of data
  connect<TwoData>("http://localhost:3000");
});

test("the lifecycle is typed by its events", () => {
  const { lifecycle } = connect("http://localhost:3000");
  lifecycle.on("missed", ({ after, before, reason }) => [after + before, reason]);
  lifecycle.on("error", ({ code, retryable }) => [code, retryable]);
  // @ts-expect-error there is no such event
  lifecycle.on("online", () => undefined);
});

test("questions are answered with what the event's function returns", () => {
  interface Questions {
    confirm: (order: { id: number }) => boolean;
    note: (text: string) => void;
  }
  const me = connect<Questions>("http://localhost:3000");
  const off = me.answer("confirm", ({ id }, { signal, timeoutMs }) => {
    expectTypeOf(signal).toEqualTypeOf<AbortSignal>();
    return id > timeoutMs;
  });
  expectTypeOf(off).toEqualTypeOf<() => void>();
  me.answer("confirm", async () => true);
  me.answer("note", (text) => text.length);
  // @ts-expect-error the answer is of another type
  me.answer("confirm", () => "yes");
  // @ts-expect-error there is no such event
  me.answer("confrim", () => true);
  connect("http://localhost:3000").answer("anything", (data) => data);
});

test("what was sent tells what becomes of it", async () => {
  const me = connect("http://localhost:3000");
  const sent = await me.to("bo").send("hi");
  const off = sent.on("change", (state) => expectTypeOf(state).toEqualTypeOf<SendState>());
  expectTypeOf(off).toEqualTypeOf<() => void>();
  // @ts-expect-error its owner moves it
  sent.state = "read";
  me.lifecycle.on("read", ({ offset }) => me.markRead(offset + me.readOffset));
});
