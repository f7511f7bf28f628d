import { fileURLToPath } from "node:url";
import { afterAll, expect, test } from "vitest";
import { coreIn } from "./core.ts";
import { FAMILIES, type Family } from "./families.ts";
import { search } from "./search.ts";

const SOURCES = fileURLToPath(new URL("../../src", import.meta.url));
/** Of each family, where nobody asks for more: `npm run simulate -- --runs 100000`. */
const RUNS = 550;
const TIMEOUT_MS = 86_400_000;

const { SIMULATE_RUNS: asked, SIMULATE_SEED: seed, SIMULATE_FAMILY: only } = process.env;
const runs = Number(asked ?? RUNS);
const chosen = Object.entries<Family>(FAMILIES).filter(([name]) => only === undefined || name === only);
if (chosen.length === 0) throw new Error(`There is no family "${only}": ${Object.keys(FAMILIES).join(", ")}`);

const core = await coreIn(SOURCES);
let total = 0;
let totalMs = 0;

const rate = (count: number, ms: number): string =>
  `${count} runs in ${(ms / 1_000).toFixed(1)} s, ${Math.round((count * 1_000) / ms)} per second`;

test.each(chosen.map(([name, family]) => ({ name, ...family })))("$name: $promise", { timeout: TIMEOUT_MS }, async (family) => {
  const beganAt = performance.now();
  const found = await search(core, family, { runs, seed: seed === undefined ? undefined : Number(seed) });
  const ms = performance.now() - beganAt;
  total += runs;
  totalMs += ms;
  if (asked !== undefined) console.log(`${family.name}: ${found === undefined ? rate(runs, ms) : "broken"}`);
  expect.soft(found, found).toBeUndefined();
});

afterAll(() => {
  if (asked !== undefined) console.log(`All: ${rate(total, totalMs)}`);
});
