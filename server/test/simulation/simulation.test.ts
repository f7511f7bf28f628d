import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { afterAll, expect, test } from "vitest";
import { coreIn } from "./core.ts";
import { scripts } from "./deeds.ts";
import { FAMILIES, type Family } from "./families.ts";
import { run, search } from "./search.ts";

const SOURCES = fileURLToPath(new URL("../../src", import.meta.url));
/** Of each family, where nobody asks for more: `npm run simulate -- --runs 100000`. */
const RUNS = 550;
const TIMEOUT_MS = 86_400_000;

const { SIMULATE_RUNS: asked, SIMULATE_SEED: seed, SIMULATE_FAMILY: only } = process.env;
const runs = Number(asked ?? RUNS);
/** The tests run the same scripts every time; a search that somebody asks for begins somewhere else each time. */
const given = asked === undefined ? 1 : seed === undefined ? undefined : Number(seed);
const chosen = Object.entries<Family>(FAMILIES).filter(([name]) => only === undefined || name === only);
if (chosen.length === 0) throw new Error(`There is no family "${only}": ${Object.keys(FAMILIES).join(", ")}`);

const core = await coreIn(SOURCES);
let total = 0;
let totalMs = 0;

const rate = (count: number, ms: number): string =>
  `${count} runs in ${(ms / 1_000).toFixed(1)} s, ${Math.round((count * 1_000) / ms)} per second`;

test.each(chosen.map(([name, family]) => [name, family.promise, family] as const))(
  "%s: %s",
  { timeout: TIMEOUT_MS },
  async (name, _promise, family) => {
    const beganAt = performance.now();
    const found = await search(core, family, { runs, seed: given });
    const ms = performance.now() - beganAt;
    total += runs;
    totalMs += ms;
    if (asked !== undefined) console.log(`${name}: ${found === undefined ? rate(runs, ms) : "broken"}`);
    expect.soft(found, found).toBeUndefined();
  },
);

afterAll(() => {
  if (asked !== undefined) console.log(`All: ${rate(total, totalMs)}`);
});

test("the same script and seed give the same run", async () => {
  const { everything } = FAMILIES;
  const [script = []] = fc.sample(scripts(everything.troubles), { numRuns: 1, seed: 3 });
  // The keys of the SDK's own sends are random, and decide nothing.
  const written = async (): Promise<string> =>
    JSON.stringify(await run(core, everything, script, 3), (name, value: unknown) => (name === "key" ? undefined : value));
  expect(await written()).toBe(await written());
});
