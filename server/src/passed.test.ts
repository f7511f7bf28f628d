import { expect, test } from "vitest";
import { named, split, together } from "./passed.ts";

test("ranges that touch are one, and a cursor cuts through it", () => {
  const passed = together(
    { missed: [{ first: 2, last: 2 }], began: 1 },
    { missed: [{ first: 3, last: 3 }], skipped: [{ first: 5, last: 5 }] },
  );
  expect(passed).toEqual({ missed: [{ first: 2, last: 3 }], skipped: [{ first: 5, last: 5 }], began: 1 });
  const [below, above] = split(passed, 2);
  expect(named(below)).toEqual({ missed: [{ first: 2, last: 2 }], began: 1 });
  expect(named(above)).toEqual({ missed: [{ first: 3, last: 3 }], skipped: [{ first: 5, last: 5 }] });
});

test("of two that began, the one counts that tells less", () => {
  expect(together({ began: 0 }, { began: 6 }).began).toBe(6);
  expect(together({ began: 6 }, {}).began).toBe(6);
  expect(together({}, { began: 3 }).began).toBe(3);
  expect(named(together({}, {}))).toEqual({});
});
