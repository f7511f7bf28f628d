import { describe, it } from "vitest";
import { brokerContract, ManualClock } from "../testing/contract.ts";
import { memory } from "./memory.ts";

const clock = new ManualClock();

brokerContract("memory", {
  describe,
  it,
  open: async (limits) => memory({ ...limits, clock, quiet: true }),
  elapse: (ms) => clock.advance(ms),
});
