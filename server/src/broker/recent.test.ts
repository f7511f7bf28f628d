import { UsercastError } from "@usercast/protocol";
import { expect, it } from "vitest";
import type { PublishResult } from "../ports.ts";
import { RecentPublishes } from "./recent.ts";

const accepted = (offset: number): PublishResult => ({ state: "accepted", epoch: "e", offset, at: offset });

it("remembers at least half of what it may, the latest, and no more", () => {
  const recent = new RecentPublishes(4);
  for (let offset = 1; offset <= 20; offset += 1) {
    recent.remember(`id ${offset}`, accepted(offset));
    const known = Array.from({ length: offset }, (_, index) => index + 1).filter((one) => recent.get(`id ${one}`) !== undefined);
    expect(known.length).toBeLessThanOrEqual(4);
    expect(known.length).toBeGreaterThanOrEqual(Math.min(2, offset));
    expect(known.at(-1)).toBe(offset);
    expect(recent.get(`id ${known[0]}`)).toEqual(accepted(known[0] ?? 0));
  }
});

it("does not remember failures, which may be tried again", () => {
  const recent = new RecentPublishes(2);
  recent.remember("a", { state: "failed", error: new UsercastError("STORE_FULL") });
  expect(recent.get("a")).toBeUndefined();
});

it("forgets what has not come to pass, wherever it is", () => {
  const recent = new RecentPublishes(4);
  for (const offset of [1, 2, 3]) recent.remember(`id ${offset}`, accepted(offset));
  recent.forget("id 1");
  recent.forget("id 3");
  expect([1, 2, 3].map((offset) => recent.get(`id ${offset}`)?.state)).toEqual([undefined, "accepted", undefined]);
});
