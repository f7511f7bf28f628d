import fc from "fast-check";
import { expect, test } from "vitest";
import { type Deed, type Settings, Simulation } from "./simulation.ts";

// What is done in a run, and how often. Each deed has a client or a user, and a number for whatever it needs one for.
const WEIGHTS = {
  publish: 6,
  live: 5,
  take: 3,
  beat: 3,
  settle: 2,
  confirm: 2,
  cut: 2,
  connect: 5,
  register: 1,
  reload: 1,
  ping: 1,
  pass: 3,
  answer: 4,
  purge: 1,
  fail: 1,
} as const satisfies Readonly<Record<Deed, number>>;

const deeds = fc.array(
  fc.record({
    deed: fc.oneof(...Object.entries(WEIGHTS).map(([deed, weight]) => ({ weight, arbitrary: fc.constant(deed as Deed) }))),
    who: fc.nat(15),
    much: fc.nat(9),
    turns: fc.constantFrom(0, 0, 1, 2),
  }),
  { minLength: 10, maxLength: 150, size: "max" },
);

/** For a longer search: `RUNS=20000 npx vitest run server/test/random`. */
const RUNS = Number(process.env["RUNS"] ?? 1_000);

const survives = async (settings: Settings): Promise<void> => {
  const property = fc.asyncProperty(deeds, fc.nat(), async (script, seed) => {
    const simulation = new Simulation(settings, seed);
    await simulation.begin();
    for (const { deed, who, much, turns } of script) await simulation.act(deed, who, much, turns);
    await simulation.heal();
    await simulation.check();
    expect(await simulation.close()).toEqual({ connections: 0, subscriptions: 0, timers: 0 });
  });
  await fc.assert(property, { numRuns: RUNS });
};

test("whatever happens to connections, every accepted message reaches who stays or comes back, in order", async () => {
  await survives({});
});

test("what expires or is trimmed on the way is told as missed, and nothing else", async () => {
  await survives({ losses: true });
});

test("a purge in between begins a new life, and nothing of the old one leaks into it", async () => {
  await survives({ purges: true });
});

test("a store that fails at times costs no message", async () => {
  await survives({ failures: true });
});

test("hints that are lost are made up for from the log", async () => {
  await survives({ lostHints: true });
});
