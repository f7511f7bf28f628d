import fc from "fast-check";

/** What can be done in a run, and how often it is. */
const ALWAYS = {
  publish: 6,
  send: 1,
  signal: 1,
  live: 5,
  take: 3,
  arrive: 3,
  settle: 2,
  connect: 5,
  cut: 2,
  forsake: 1,
  register: 1,
  reload: 1,
  ping: 1,
  pass: 3,
  answer: 4,
  lie: 1,
} as const;

/** What is done only in some families of runs. */
const SOMETIMES = { purge: 3, fail: 1, retry: 1, crash: 2, restore: 3, interrupt: 1, resend: 2, filter: 4 } as const;

/** What is done only where a family has it. */
export type Trouble = keyof typeof SOMETIMES;

/** One thing that is done. Each has somebody it concerns, and a number for whatever it needs one for. */
export interface Deed {
  readonly deed: keyof typeof ALWAYS | Trouble;
  readonly who: number;
  readonly much: number;
  /** Turns of the loop that follow. */
  readonly turns: number;
}

/** Scripts of deeds for a family with these troubles. */
export function scripts(troubles: readonly Trouble[]): fc.Arbitrary<Deed[]> {
  const weights = [...Object.entries(ALWAYS), ...troubles.map((trouble) => [trouble, SOMETIMES[trouble]] as const)];
  const deed = fc.record({
    deed: fc.oneof(...weights.map(([name, weight]) => ({ weight, arbitrary: fc.constant(name as Deed["deed"]) }))),
    who: fc.nat(15),
    much: fc.nat(9),
    turns: fc.constantFrom(0, 0, 1, 2),
  });
  return fc.array(deed, { minLength: 1, maxLength: 140, size: "max" });
}

/** A script to read: one line a deed. */
export const lines = (script: readonly Deed[]): string =>
  script.map(({ deed, who, much, turns }) => `  ${deed.padEnd(9)} who ${who}, much ${much}, then ${turns} turns`).join("\n");
