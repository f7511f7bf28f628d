import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Entry, Page } from "./ports.ts";
import { contradicts, holes, type StartState, startOf } from "./resume.ts";

interface Log {
  readonly epoch: string;
  readonly times: readonly number[];
  /** Offsets no longer held. */
  readonly gone: ReadonlySet<number>;
}

/** What a broker answers about a log: written anew here, so that it shares nothing with the brokers. */
const pageOf = ({ epoch, times, gone }: Log, after: number): Page => {
  const entries: Entry[] = [];
  times.forEach((at, i) => {
    const offset = i + 1;
    if (offset > after && !gone.has(offset)) entries.push({ offset, at, expiresAt: at + 1, text: "", bytes: 0 });
  });
  const head = { epoch, offset: times.length, at: times.at(-1) ?? 0 };
  return { epoch, head, entries, through: head.offset, trimmed: 0 };
};

const increasing = fc.array(fc.integer({ min: 1, max: 5 }), { maxLength: 30 }).map((steps) => {
  let at = 1_000;
  return steps.map((step) => {
    at += step;
    return at;
  });
});
const log: fc.Arbitrary<Log> = fc
  .tuple(increasing, fc.array(fc.integer({ min: 1, max: 30 })))
  .map(([times, gone]) => ({ epoch: "e", times, gone: new Set(gone) }));

const state = (of: Log, delivered = 0, device?: number): StartState => ({
  epoch: of.epoch,
  head: pageOf(of, 0).head,
  user: { delivered, read: 0 },
  ...(device === undefined ? {} : { device: { delivered: device, read: 0 } }),
});

describe("contradicts", () => {
  test("a place the log really had is never contradicted, whatever has gone since", () => {
    fc.assert(
      fc.property(log, fc.nat(), (of, pick) => {
        const offset = of.times.length === 0 ? 0 : pick % (of.times.length + 1);
        const at = offset === 0 ? 0 : (of.times[offset - 1] ?? 0);
        expect(contradicts({ epoch: "e", offset, at }, pageOf(of, offset - 1))).toBe(false);
      }),
    );
  });

  test("a log that was rewound and has grown past the client again is found by its times", () => {
    fc.assert(
      fc.property(log, fc.integer({ min: 1, max: 30 }), fc.integer({ min: 0, max: 30 }), (of, lost, more) => {
        fc.pre(of.times.length > 0);
        const offset = of.times.length;
        const at = of.times.at(-1) ?? 0;
        const kept = of.times.slice(0, Math.max(offset - lost, 0));
        // What is accepted after the rewind is accepted later than anything the client has seen.
        const regrown = [...kept, ...Array.from({ length: more }, (_, i) => at + 1 + i)];
        const now = { ...of, times: regrown, gone: new Set<number>() };
        expect(contradicts({ epoch: "e", offset, at }, pageOf(now, offset - 1))).toBe(true);
      }),
    );
  });

  test("what lies beyond the head is contradicted", () => {
    fc.assert(
      fc.property(log, fc.integer({ min: 1 }), fc.nat(), (of, beyond, at) => {
        const offset = of.times.length + beyond;
        expect(contradicts({ epoch: "e", offset, at }, pageOf(of, offset - 1))).toBe(true);
      }),
    );
  });
});

describe("startOf", () => {
  const ten: Log = { epoch: "e", times: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10], gone: new Set() };

  test("a claim the log does not contradict is where it starts, whatever any cursor says", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 10 }),
        fc.nat(10),
        fc.option(fc.nat(10), { nil: undefined }),
        (offset, user, device) => {
          const claim = { epoch: "e", offset, at: offset };
          expect(startOf(state(ten, user, device), claim, pageOf(ten, offset - 1))).toEqual({ offset });
        },
      ),
    );
  });

  test("a claim that means nothing any more starts at the device's cursor, else at the first retained message, and is told", () => {
    const claim = { epoch: "old", offset: 42, at: 1 };
    expect(startOf(state(ten, 9, 6), claim)).toEqual({ offset: 6, missed: { after: 42, before: 7, reason: "epoch" } });
    expect(startOf(state(ten, 9), claim, undefined, 4)).toEqual({ offset: 3, missed: { after: 42, before: 4, reason: "epoch" } });
    const rewound = { epoch: "e", offset: 42, at: 1 };
    expect(startOf(state(ten, 9, 6), rewound, pageOf(ten, 41)).missed).toMatchObject({ reason: "rewound" });
  });

  test("who had seen nothing in an older life has missed nothing", () => {
    expect(startOf(state(ten, 9), { epoch: "old", offset: 0, at: 0 })).toEqual({ offset: 0 });
  });

  test("without a claim: the device's cursor, and for a device never seen the user's own furthest", () => {
    expect(startOf(state(ten, 9, 6))).toEqual({ offset: 6 });
    expect(startOf(state(ten, 9))).toEqual({ offset: 9 });
  });
});

test("holes cover exactly what lies between, each offset once, with the reason it is gone for", () => {
  fc.assert(
    fc.property(fc.nat(50), fc.integer({ min: 1, max: 50 }), fc.nat(120), (after, width, trimmed) => {
      const before = after + width;
      const covered = holes(after, before, trimmed).flatMap((hole) =>
        Array.from({ length: hole.before - hole.after - 1 }, (_, i) => [hole.after + 1 + i, hole.reason] as const),
      );
      expect(covered).toEqual(
        Array.from({ length: width - 1 }, (_, i) => [after + 1 + i, after + 1 + i <= trimmed ? "trimmed" : "expired"] as const),
      );
    }),
  );
});

test("who shares a device begins at the lowest place that anybody of them is owed from, and no further than their cursor", () => {
  const place = fc.record({ at: fc.nat(20) });
  const floor = place.map(({ at }) => ({ at, holder: "one", number: 1 }));
  fc.assert(
    fc.property(fc.array(floor), fc.array(place), fc.nat(20), (floors, debts, delivered) => {
      const head = { epoch: "e", offset: 20, at: 1_000 };
      const user = { delivered: 20, read: 0 };
      const state = { epoch: "e", head, user, device: { delivered, read: 0, shared: { floors, debts } } };
      const { offset } = startOf(state);
      expect([delivered, ...[...floors, ...debts].map(({ at }) => at)].sort((a, b) => a - b)[0]).toBe(offset);
    }),
  );
});
