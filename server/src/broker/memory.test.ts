import { describe, expect, it } from "vitest";
import { accept, draft, readAll } from "../testing/contract/harness.ts";
import { brokerContract, ManualClock } from "../testing/contract.ts";
import { memory } from "./memory.ts";

const shared = new ManualClock();

brokerContract("memory", {
  describe,
  it,
  open: async (limits) => memory({ ...limits, clock: shared, quiet: true, warn: () => {} }),
  elapse: (ms) => shared.advance(ms),
});

describe("memory", () => {
  it("says once, with the first message, what it does not promise", async () => {
    const warnings: string[] = [];
    const broker = memory({ warn: (message) => warnings.push(message) });
    await broker.read("ana", 0, 1);
    expect(warnings).toEqual([]);
    await broker.publish([draft("ana")]);
    await broker.publish([draft("ana")]);
    expect(warnings).toEqual([expect.stringMatching(/not a restart/)]);
    await broker.close();
  });

  it("keeps silent about it when told so", async () => {
    const broker = memory({ quiet: true, warn: (message) => expect.unreachable(message) });
    await accept(broker, draft("ana"));
    await broker.close();
  });

  it("gives rising times and keeps messages their time when the clock is set back", async () => {
    const clock = new ManualClock(1_000_000);
    const broker = memory({ quiet: true, clock });
    const first = await accept(broker, draft("ana"));
    clock.set(500_000);
    const second = await accept(broker, draft("ana", { ttlMs: 1_000 }));
    expect([first.at, second.at]).toEqual([1_000_000, 1_000_001]);
    expect((await readAll(broker, "ana"))[1]?.expiresAt).toBe(1_001_001);
    await broker.close();
  });

  it("gives every process epochs of its own", async () => {
    const brokers = [memory({ quiet: true }), memory({ quiet: true })];
    const [one, two] = await Promise.all(brokers.map((broker) => accept(broker, draft("ana"))));
    expect(one?.epoch).not.toBe(two?.epoch);
    await Promise.all(brokers.map((broker) => broker.close()));
  });

  it("frees what has expired without anybody asking, a few mailboxes at a time", async () => {
    const clock = new ManualClock();
    const broker = memory({ quiet: true, clock, maxTotalBytes: 100, sweepIntervalMs: 1_000 });
    // The mailboxes before the last two are empty of anything to free.
    for (let user = 0; user < 600; user++) await accept(broker, draft(`user${user}`, { bytes: 0 }));
    await broker.publish([draft("ana", { bytes: 50, ttlMs: 500 }), draft("bo", { bytes: 50, ttlMs: 500 })]);
    clock.advance(3_000);
    await accept(broker, draft("cy", { bytes: 100 }));
    await broker.close();
  });

  it("leaves no timer behind", async () => {
    const clock = new ManualClock();
    const broker = memory({ quiet: true, clock });
    clock.advance(60_000);
    expect(clock.timers).toBe(1);
    await broker.close();
    expect(clock.timers).toBe(0);
  });

  it.each([0, -1, 1.5, Number.NaN])("refuses a limit of %d", (maxMailboxes) => {
    expect(() => memory({ maxMailboxes })).toThrow(expect.objectContaining({ code: "INVALID_OPTIONS" }));
  });
});
