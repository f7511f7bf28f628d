import type { Missed, Position } from "@usercast/protocol";
import fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import { FakeClock, settled } from "../test/fake-clock.ts";
import type { Handler } from "./events.ts";
import { Inbox } from "./inbox.ts";
import { Lifecycle } from "./lifecycle.ts";
import { Listeners } from "./listeners.ts";

const at = (offset: number): number => 1_000 + offset;
const place = (offset: number, epoch = "e1"): Position => ({ epoch, offset, at: offset === 0 ? 0 : at(offset) });
const readyAt = (offset: number, head = 100, epoch = "e1", windowMessages = 256) => ({
  position: place(offset, epoch),
  head: place(head, epoch),
  limits: { windowMessages, maxPayloadBytes: 65_536 },
});

const setup = () => {
  const clock = new FakeClock();
  const handlers = new Listeners<Handler>();
  const lifecycle = new Lifecycle();
  const told: [string, unknown][] = [];
  lifecycle.on("missed", ({ after, before, reason }) => told.push(["missed", `${after}-${before} ${reason}`]));
  lifecycle.on("unhandled", ({ info }) => told.push(["unhandled", info.offset]));
  lifecycle.on("error", ({ code }) => told.push(["error", code]));
  const inbox = new Inbox({
    clock,
    handlers,
    lifecycle,
    handlerTimeoutMs: 30_000,
    handlerWaitMs: 5_000,
    onProgress() {},
  });
  const arrive = (offset: number, event = "message", after?: number) =>
    inbox.message({ offset, at: at(offset), ...(after !== undefined && { after }) }, event, `data ${offset}`);
  const handle = (event: string, handler: Handler) => {
    handlers.add(event, handler);
    inbox.wake();
  };
  return { clock, handlers, inbox, told, arrive, handle };
};

let started: number[];
let finish: Map<number, () => void>;
/** A handler that runs until the test finishes it. */
const running: Handler = (_, { offset = 0 }) => {
  started.push(offset);
  return new Promise<void>((resolve) => finish.set(offset, resolve));
};
const note: Handler = (_, { offset = 0 }) => void started.push(offset);

beforeEach(() => {
  started = [];
  finish = new Map();
});

describe("order", () => {
  test("handlers start in order and may run together; what is settled is the longest prefix", async () => {
    const { inbox, arrive, handle } = setup();
    handle("message", running);
    inbox.begin(readyAt(0));
    for (const offset of [1, 2, 3]) expect(arrive(offset)).toBe("accepted");
    expect(started).toEqual([1, 2, 3]);
    finish.get(2)?.();
    await settled();
    expect(inbox.confirmable).toBe(0);
    finish.get(1)?.();
    await settled();
    expect(inbox.confirmable).toBe(2);
    expect(inbox.position).toEqual(place(2));
  });

  test("a repetition is not handled again", () => {
    const { inbox, arrive, handle } = setup();
    handle("message", note);
    inbox.begin(readyAt(0));
    arrive(1);
    expect(arrive(1)).toBe("duplicate");
    expect(started).toEqual([1]);
  });

  test("a hole that nothing explains is refused, one that `after` explains is not", () => {
    const { inbox, arrive, handle } = setup();
    handle("message", note);
    inbox.begin(readyAt(0));
    arrive(1);
    expect(arrive(3)).toBe("gap");
    expect(arrive(5, "message", 4)).toBe("gap");
    expect(arrive(5, "message", 1)).toBe("accepted");
    expect(started).toEqual([1, 5]);
    expect(inbox.confirmable).toBe(5);
  });

  test("more than the window promises is refused", () => {
    const { inbox, arrive } = setup();
    inbox.begin(readyAt(0, 100, "e1", 2));
    expect([1, 2, 3, 4, 5].map((offset) => arrive(offset))).toEqual(["accepted", "accepted", "accepted", "accepted", "overflow"]);
  });
});

describe("messages without a handler", () => {
  test("hold back later ones until their handler is set, and are then started first", () => {
    const { inbox, arrive, handle } = setup();
    handle("other", note);
    inbox.begin(readyAt(0));
    arrive(1, "late");
    arrive(2, "other");
    expect(started).toEqual([]);
    handle("late", note);
    expect(started).toEqual([1, 2]);
  });

  test("are given up together after the wait, counted from their arrival", () => {
    const { clock, inbox, told, arrive, handle } = setup();
    handle("other", note);
    inbox.begin(readyAt(0));
    arrive(1, "nobody");
    arrive(2, "nobody");
    arrive(3, "other");
    clock.advance(4_999);
    expect(told).toEqual([]);
    expect(inbox.confirmable).toBe(0);
    clock.advance(1);
    expect(told).toEqual([
      ["unhandled", 1],
      ["unhandled", 2],
    ]);
    expect(started).toEqual([3]);
    expect(inbox.confirmable).toBe(3);
  });
});

describe("handlers", () => {
  test("that throw or reject have settled, and are reported", async () => {
    const { inbox, told, arrive, handle } = setup();
    handle("message", () => {
      throw new Error("thrown");
    });
    handle("message", () => Promise.reject(new Error("rejected")));
    inbox.begin(readyAt(0));
    arrive(1);
    await settled();
    expect(told).toEqual([
      ["error", "HANDLER_FAILED"],
      ["error", "HANDLER_FAILED"],
    ]);
    expect(inbox.confirmable).toBe(1);
  });

  test("that hang settle at the time-out", () => {
    const { clock, inbox, told, arrive, handle } = setup();
    handle("message", running);
    inbox.begin(readyAt(0));
    arrive(1);
    clock.advance(30_000);
    expect(told).toEqual([["error", "HANDLER_TIMEOUT"]]);
    expect(inbox.confirmable).toBe(1);
  });

  test("of one event settle a message together", async () => {
    const { inbox, arrive, handle } = setup();
    handle("message", note);
    handle("message", running);
    inbox.begin(readyAt(0));
    arrive(1);
    expect(inbox.confirmable).toBe(0);
    finish.get(1)?.();
    await settled();
    expect(inbox.confirmable).toBe(1);
  });

  test("leave no timer behind", async () => {
    const { clock, inbox, arrive, handle } = setup();
    handle("message", running);
    inbox.begin(readyAt(0));
    arrive(1);
    arrive(2, "nobody");
    expect(clock.waiting).toBe(2);
    finish.get(1)?.();
    await settled();
    inbox.close();
    expect(clock.waiting).toBe(0);
  });

  test("that close the client get nothing more", () => {
    const { inbox, arrive, handle } = setup();
    inbox.begin(readyAt(0));
    arrive(1);
    arrive(2);
    handle("message", (data, info) => {
      note(data, info);
      inbox.close();
    });
    expect(started).toEqual([1]);
  });
});

describe("reconnects", () => {
  test("what runs from the connection before is not started again, but confirmed on the new one", async () => {
    const { inbox, arrive, handle } = setup();
    handle("message", running);
    inbox.begin(readyAt(0));
    arrive(1);
    arrive(2);
    inbox.begin(readyAt(0));
    finish.get(1)?.();
    finish.get(2)?.();
    await settled();
    expect(inbox.confirmable).toBe(0); // this connection was sent nothing yet
    arrive(1);
    expect(inbox.confirmable).toBe(1);
    arrive(2);
    arrive(3);
    expect(started).toEqual([1, 2, 3]);
    expect(inbox.confirmable).toBe(2);
  });

  test("a start beyond what is known is a hole", () => {
    const { inbox, arrive } = setup();
    inbox.begin(readyAt(0));
    inbox.begin(readyAt(5));
    expect(arrive(6)).toBe("gap");
  });

  test("after a reload only what had not settled comes again", () => {
    const { inbox, arrive, handle } = setup();
    inbox.restore(place(2));
    handle("message", note);
    inbox.begin(readyAt(1));
    for (const offset of [2, 3]) arrive(offset);
    expect(started).toEqual([3]);
  });

  test("another user's messages are dropped with the place", () => {
    const { clock, inbox, told, arrive, handle } = setup();
    inbox.begin(readyAt(0));
    arrive(1);
    inbox.clear();
    inbox.begin(readyAt(7));
    handle("message", note);
    clock.advance(10_000);
    expect(started).toEqual([]);
    expect(told).toEqual([]);
    expect(inbox.position).toEqual(place(7));
  });
});

describe("missed ranges", () => {
  test("advance the settled prefix behind what still runs, and are told once", async () => {
    const { inbox, told, arrive, handle } = setup();
    handle("message", running);
    inbox.begin(readyAt(0));
    arrive(1);
    const missed: Missed = { after: 1, before: 5, reason: "expired" };
    inbox.missed(missed);
    inbox.begin(readyAt(0));
    arrive(1);
    inbox.missed(missed);
    expect(told).toEqual([["missed", "1-5 expired"]]);
    expect(inbox.confirmable).toBe(0);
    finish.get(1)?.();
    await settled();
    expect(inbox.confirmable).toBe(4);
    expect(arrive(5)).toBe("accepted");
  });

  test("the position keeps to a place whose time is known", () => {
    const { inbox, arrive, handle } = setup();
    handle("message", note);
    inbox.begin(readyAt(0, 8));
    arrive(1);
    inbox.missed({ after: 1, before: 5, reason: "trimmed" });
    expect(inbox.confirmable).toBe(4);
    expect(inbox.position).toEqual(place(1));
    inbox.missed({ after: 4, before: 9, reason: "expired" });
    expect(inbox.position).toEqual(place(8)); // the head's time is known
  });

  test("only what is new of a range is told, and nothing between is passed over in silence", () => {
    const { inbox, told, arrive, handle } = setup();
    handle("message", running);
    inbox.begin(readyAt(0));
    arrive(1);
    arrive(2);
    inbox.missed({ after: 0, before: 4, reason: "trimmed" });
    inbox.missed({ after: 5, before: 8, reason: "trimmed" });
    expect(told).toEqual([
      ["missed", "2-4 trimmed"],
      ["missed", "3-8 trimmed"],
    ]);
  });

  test("however many behind a message that waits do not count as messages", () => {
    const { inbox, arrive } = setup();
    inbox.begin(readyAt(0, 100, "e1", 2));
    arrive(1);
    for (let after = 1; after < 20; after++) inbox.missed({ after, before: after + 2, reason: "expired" });
    expect(arrive(21)).toBe("accepted");
  });

  test("another epoch begins at the server's start; what waited of the old one is still handled", () => {
    const { inbox, told, arrive, handle } = setup();
    inbox.restore(place(40));
    inbox.begin(readyAt(40));
    arrive(41, "late");
    inbox.begin(readyAt(2, 3, "e2"));
    inbox.missed({ after: 40, before: 3, reason: "epoch" });
    arrive(3, "late");
    expect(told).toEqual([["missed", "40-3 epoch"]]);
    expect(inbox.position).toEqual(place(2, "e2"));
    handle("late", note);
    expect(started).toEqual([41, 3]);
    expect(inbox.position).toEqual(place(3, "e2"));
  });

  test("a rewound log of the same epoch begins anew too", () => {
    const { inbox, told, arrive, handle } = setup();
    handle("message", note);
    inbox.restore(place(40));
    inbox.begin(readyAt(10, 10));
    inbox.missed({ after: 40, before: 11, reason: "rewound" });
    expect(inbox.position).toEqual(place(10));
    expect(arrive(11)).toBe("accepted");
    expect(started).toEqual([11]);
    expect(told).toEqual([["missed", "40-11 rewound"]]);
  });

  test("of a mailbox that was empty nothing is missed", () => {
    const { inbox, told } = setup();
    inbox.restore(place(0));
    inbox.begin(readyAt(0, 0, "e2"));
    inbox.missed({ after: 0, before: 1, reason: "epoch" });
    expect(told).toEqual([]);
  });
});

test("a signal reaches its handlers at once, past what waits", () => {
  const { inbox, told, arrive, handle } = setup();
  const seen: unknown[] = [];
  handle("typing", (data, info) => seen.push([data, info]));
  inbox.begin(readyAt(0));
  arrive(1, "late");
  inbox.signal("bo", "typing", true);
  inbox.signal(undefined, "nobody", true);
  expect(seen).toEqual([[true, { volatile: true, from: "bo" }]]);
  expect(told).toEqual([]);
});

test("whatever happens, each message is started once and in order, and the prefix is exact", async () => {
  const step = fc.oneof(
    { weight: 6, arbitrary: fc.record({ do: fc.constant("deliver" as const) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("repeat" as const), back: fc.integer({ min: 0, max: 5 }) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("jump" as const), by: fc.integer({ min: 2, max: 4 }) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("miss" as const), by: fc.integer({ min: 1, max: 4 }) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("reconnect" as const) }) },
    { weight: 4, arbitrary: fc.record({ do: fc.constant("settle" as const), pick: fc.nat() }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("wait" as const), ms: fc.integer({ min: 1, max: 6_000 }) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("handler" as const) }) },
  );
  const property = fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
    started = [];
    finish = new Map();
    const { clock, handlers, inbox, told, arrive, handle } = setup();
    handle("even", running);
    inbox.begin(readyAt(0, 1_000));
    // The model: what the server has sent on this connection, and what has become of every offset.
    let sent = 0;
    let furthest = 0;
    const gone = new Set<number>();
    const done = new Set<number>();
    const accepted: number[] = [];
    for (const what of steps) {
      if (what.do === "deliver") {
        sent += 1;
        while (gone.has(sent)) sent += 1;
        // A hole that was told as missed before is told by `after` now.
        const expected = sent > furthest ? "accepted" : "duplicate";
        expect(arrive(sent, sent % 2 ? "odd" : "even", sent - 1)).toBe(expected);
        if (expected === "accepted") accepted.push(sent);
        furthest = Math.max(furthest, sent);
      } else if (what.do === "repeat") {
        const offset = Math.max(1, sent - what.back);
        if (offset <= sent) expect(arrive(offset)).toBe("duplicate");
      } else if (what.do === "jump") {
        expect(arrive(furthest + what.by)).toBe("gap");
      } else if (what.do === "miss") {
        const before = sent + what.by + 1;
        inbox.missed({ after: sent, before, reason: "expired" });
        for (let offset = furthest + 1; offset < before; offset++) gone.add(offset);
        sent = before - 1;
        furthest = Math.max(furthest, sent);
      } else if (what.do === "reconnect") {
        sent = inbox.position?.offset ?? 0;
        inbox.begin(readyAt(sent, 1_000));
      } else if (what.do === "settle") {
        const offsets = [...finish.keys()];
        const offset = offsets[what.pick % Math.max(1, offsets.length)];
        if (offset !== undefined) {
          finish.get(offset)?.();
          finish.delete(offset);
          done.add(offset);
          await Promise.resolve();
        }
      } else if (what.do === "wait") {
        clock.advance(what.ms);
      } else if (!handlers.has("odd")) handle("odd", running);
      await settled();
      const unhandled = told.filter(([kind]) => kind === "unhandled").map(([, offset]) => offset as number);
      // In order, once, and nothing skipped: what was started or given up is exactly the beginning of what was accepted.
      const seen = [...started, ...unhandled].sort((a, b) => a - b);
      expect(seen).toEqual(accepted.slice(0, seen.length));
      expect([...started]).toEqual([...started].sort((a, b) => a - b));
      const timedOut = clock.now() >= 30_000; // then hanging handlers have settled as well
      if (!timedOut) {
        const isSettled = (offset: number): boolean => gone.has(offset) || done.has(offset) || unhandled.includes(offset);
        let prefix = 0;
        while (isSettled(prefix + 1) && prefix < furthest) prefix += 1;
        expect(inbox.confirmable).toBe(Math.min(prefix, sent));
      }
      expect(inbox.confirmable).toBeLessThanOrEqual(sent);
    }
  });
  await fc.assert(property, { numRuns: 300 });
});
