import fc from "fast-check";
import { expect, it } from "vitest";
import type { Entry } from "../ports.ts";
import { Log } from "./log.ts";

const optional = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined, freq: 3 });

const message = fc
  .record({
    text: fc.string({ unit: "grapheme", maxLength: 200 }),
    from: optional(fc.string({ unit: "grapheme-ascii", minLength: 1, maxLength: 10 })),
    key: optional(fc.string({ unit: "grapheme-ascii", minLength: 1, maxLength: 10 })),
    attachments: optional(fc.constant([new Uint8Array([1, 2])])),
    devices: optional(fc.constant({ only: "phone" })),
    bytes: fc.nat(1_000),
  })
  .map((fields) => Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Partial<Entry>);

type Step = { readonly push: Partial<Entry> } | { readonly drop: number } | { readonly keepEach: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: message.map((push) => ({ push })) },
  { weight: 2, arbitrary: fc.nat(5).map((drop) => ({ drop })) },
  { weight: 1, arbitrary: fc.integer({ min: 1, max: 4 }).map((keepEach) => ({ keepEach })) },
);

it("holds what a list of objects would", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
      const log = new Log();
      let model: Entry[] = [];
      let offset = 0;
      for (const one of steps) {
        if ("push" in one) {
          offset += 1;
          const entry = { offset, at: 1_790_000_000_000 + offset, expiresAt: 2_000_000_000_000, ...one.push } as Entry;
          model.push(entry);
          log.push(entry);
        } else if ("drop" in one) {
          for (let i = 0; i < one.drop; i += 1) log.drop();
          model.splice(0, one.drop);
        } else {
          model = model.filter((entry) => entry.offset % one.keepEach === 0);
          log.keep((index) => log.offset(index) % one.keepEach === 0);
        }
        expect(log.size).toBe(model.length);
      }
      expect([...log.from(0)]).toEqual(model);
      expect(model.map((_, index) => [log.offset(index), log.at(index), log.bytes(index)])).toEqual(
        model.map(({ offset, at, bytes }) => [offset, at, bytes]),
      );
    }),
  );
});
