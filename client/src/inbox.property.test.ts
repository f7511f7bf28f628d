import fc from "fast-check";
import { expect, test } from "vitest";
import { settled } from "../test/fake-clock.ts";
import { readyAt, setup } from "../test/inbox-stage.ts";

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
    const { clock, handlers, inbox, told, arrive, handle, started, finish, running } = setup();
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
