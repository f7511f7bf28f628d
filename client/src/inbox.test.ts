import type { Missed } from "@usercast/protocol";
import { describe, expect, test } from "vitest";
import { settled } from "../test/fake-clock.ts";
import { place, readyAt, setup } from "../test/inbox-stage.ts";

describe("order", () => {
  test("handlers start in order and may run together; what is settled is the longest prefix", async () => {
    const { inbox, arrive, handle, started, finish, running } = setup();
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
    const { inbox, arrive, handle, started, note } = setup();
    handle("message", note);
    inbox.begin(readyAt(0));
    arrive(1);
    expect(arrive(1)).toBe("duplicate");
    expect(started).toEqual([1]);
  });

  test("a hole that nothing explains is refused, one that `after` explains is not", () => {
    const { inbox, arrive, handle, started, note } = setup();
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

describe("a store that was set back to before what had not settled", () => {
  test("is told of, and what it gives in the place of that is started", async () => {
    const { inbox, told, arrive, handle, started, finish, running } = setup();
    handle("message", running);
    inbox.begin(readyAt(0));
    for (const offset of [1, 2, 3]) arrive(offset);
    finish.get(1)?.();
    await settled();
    inbox.brought(place(1));
    // It has lost 2 and 3; the place of 1 stands.
    inbox.begin(readyAt(1, 1));
    expect(told).toEqual([["missed", "3-2 rewound"]]);
    expect(arrive(2)).toBe("accepted");
    expect(started).toEqual([1, 2, 3, 2]);
    expect(inbox.confirmable).toBe(1);
    finish.get(2)?.();
    await settled();
    expect(inbox.confirmable).toBe(2);
  });

  test("is found by the times of its messages where it has grown as long again", async () => {
    const { inbox, told, arrive, handle, started, finish, running } = setup();
    handle("message", running);
    inbox.begin(readyAt(0));
    for (const offset of [1, 2, 3]) arrive(offset);
    inbox.brought(place(0));
    inbox.begin(readyAt(0, 3));
    expect(arrive(1)).toBe("duplicate");
    const other = { offset: 2, at: place(2).at + 1 };
    expect(inbox.message(other, "message", null)).toBe("accepted");
    expect(arrive(3)).toBe("accepted");
    expect(told).toEqual([["missed", "3-2 rewound"]]);
    expect(started).toEqual([1, 2, 3, 2, 3]);
    finish.get(1)?.();
    await settled();
    expect(inbox.confirmable).toBe(1);
  });

  test("is found also where a handler settles between the dial and the start", async () => {
    for (const head of [1, 3]) {
      const { inbox, told, arrive, handle, started, finish, running } = setup();
      handle("message", running);
      inbox.begin(readyAt(0));
      for (const offset of [1, 2, 3]) arrive(offset);
      finish.get(1)?.();
      await settled();
      inbox.brought(place(1));
      finish.get(2)?.();
      await settled();
      expect(inbox.position).toEqual(place(2));
      inbox.begin(readyAt(1, head));
      expect(inbox.message({ offset: 2, at: place(2).at + 1 }, "message", null)).toBe("accepted");
      expect(told).toEqual([["missed", "3-2 rewound"]]);
      expect(started).toEqual([1, 2, 3, 2]);
      expect([inbox.confirmable, inbox.position]).toEqual([1, place(1)]);
    }
  });

  test("is not suspected where what settled meanwhile comes again as it was", async () => {
    const { inbox, told, arrive, handle, started, finish, running } = setup();
    handle("message", running);
    inbox.begin(readyAt(0));
    for (const offset of [1, 2]) arrive(offset);
    inbox.brought(place(0));
    for (const offset of [1, 2]) finish.get(offset)?.();
    await settled();
    inbox.begin(readyAt(0, 2));
    expect([arrive(1), arrive(2), arrive(3)]).toEqual(["duplicate", "duplicate", "accepted"]);
    expect([told, started]).toEqual([[], [1, 2, 3]]);
    expect(inbox.confirmable).toBe(2);
  });
});

describe("messages without a handler", () => {
  test("hold back later ones until their handler is set, and are then started first", () => {
    const { inbox, arrive, handle, started, note } = setup();
    handle("other", note);
    inbox.begin(readyAt(0));
    arrive(1, "late");
    arrive(2, "other");
    expect(started).toEqual([]);
    handle("late", note);
    expect(started).toEqual([1, 2]);
  });

  test("are given up together after the wait, counted from their arrival", () => {
    const { clock, inbox, told, arrive, handle, started, note } = setup();
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
    const { clock, inbox, told, arrive, handle, running } = setup();
    handle("message", running);
    inbox.begin(readyAt(0));
    arrive(1);
    clock.advance(30_000);
    expect(told).toEqual([["error", "HANDLER_TIMEOUT"]]);
    expect(inbox.confirmable).toBe(1);
  });

  test("of one event settle a message together", async () => {
    const { inbox, arrive, handle, finish, running, note } = setup();
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
    const { clock, inbox, arrive, handle, finish, running } = setup();
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
    const { inbox, arrive, handle, started, note } = setup();
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
    const { inbox, arrive, handle, started, finish, running } = setup();
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
    const { inbox, arrive, handle, started, note } = setup();
    inbox.restore(place(2));
    handle("message", note);
    inbox.begin(readyAt(1));
    for (const offset of [2, 3]) arrive(offset);
    expect(started).toEqual([3]);
  });

  test("another user's messages are dropped with the place", () => {
    const { clock, inbox, told, arrive, handle, started, note } = setup();
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
    const { inbox, told, arrive, handle, finish, running } = setup();
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
    const { inbox, arrive, handle, note } = setup();
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
    const { inbox, told, arrive, handle, running } = setup();
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
    const { inbox, told, arrive, handle, started, note } = setup();
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
    const { inbox, told, arrive, handle, started, note } = setup();
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
