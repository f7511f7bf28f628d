import { UsercastError } from "@usercast/protocol";
import { expect, it } from "vitest";
import type { PublishResult } from "../ports.ts";
import { RecentPublishes } from "./recent.ts";

const accepted = (offset: number): PublishResult => ({ state: "accepted", epoch: "e", offset, at: offset });

it("remembers the latest outcomes and no more than it may", () => {
  const recent = new RecentPublishes(2);
  recent.remember("a", accepted(1));
  recent.remember("b", accepted(2));
  recent.remember("a", accepted(9));
  expect(recent.get("a")).toEqual(accepted(1));
  recent.remember("c", accepted(3));
  expect([recent.get("a"), recent.get("b"), recent.get("c")]).toEqual([undefined, accepted(2), accepted(3)]);
});

it("does not remember failures, which may be tried again", () => {
  const recent = new RecentPublishes(2);
  recent.remember("a", { state: "failed", error: new UsercastError("STORE_FULL") });
  expect(recent.get("a")).toBeUndefined();
});
