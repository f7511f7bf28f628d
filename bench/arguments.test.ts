import { describe, expect, it } from "vitest";
import { parseArguments } from "./arguments.js";

const all = {
  one: { rows: ["seed", "room", "raw-send", "volatile", "memory", "lmdb"] },
  burst: { rows: ["seed", "volatile"] },
  crowd: { rows: ["memory"], isExtra: true },
};
const parse = (...words: readonly string[]) => parseArguments(words, all);

describe("--only", () => {
  it("is without it everything but what is extra", () => {
    expect(parse().families).toEqual({ one: all.one.rows, burst: all.burst.rows });
  });

  it("takes a key for the rows it is made of, in the order of their family", () => {
    expect(parse("--only", "volatile/seed").families).toEqual({ one: ["seed", "volatile"] });
  });

  it("measures no row twice for two keys", () => {
    const { families } = parse("--only", "memory-broker/seed,volatile/raw-ws,burst/seed");
    expect(families).toEqual({ one: ["seed", "raw-send", "volatile", "memory"], burst: ["seed", "volatile"] });
  });

  it("takes a family for all its rows", () => {
    expect(parse("--only", "crowd,volatile/seed").families).toEqual({ crowd: ["memory"], one: ["seed", "volatile"] });
  });

  it("takes nothing else", () => {
    expect(() => parse("--only", "volatile/seeds")).toThrow("volatile/seeds is none of volatile/seed,");
  });
});

it("measures a figure that is asked for more often than everything", () => {
  expect(parse().repeats).toBe(5);
  expect(parse("--only", "one").repeats).toBe(5);
  expect(parse("--only", "volatile/seed").repeats).toBe(9);
  expect(parse("--only", "volatile/seed", "--repeats", "20").repeats).toBe(20);
});

it.each(["0", "-1", "1.5", "many", ""])("refuses %j repeats", (repeats) => {
  expect(() => parse(`--repeats=${repeats}`)).toThrow("--repeats is a whole number from 1 on.");
});
