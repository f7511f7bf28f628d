import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import type { Broker } from "../../src/ports.ts";
import { coreIn } from "./core.ts";
import { FAMILIES, LASTING } from "./families.ts";
import { realStore } from "./real-store.ts";
import { search } from "./search.ts";

const SOURCES = fileURLToPath(new URL("../../src", import.meta.url));
/** Of each family, where somebody asks for another number. */
const ASKED = process.env["SIMULATE_REAL_RUNS"];

/**
 * Declares a test for each family that a real store can be put under: so many runs, each over a broker of its own, which the run closes.
 * A run waits for the store after every step.
 */
export async function testOverStores(open: () => Promise<Broker>, usualRuns: number): Promise<void> {
  const core = await coreIn(SOURCES);
  const runs = Number(ASKED ?? usualRuns);
  test.each(LASTING.map((name) => [name, FAMILIES[name].promise] as const))(
    "%s: %s",
    { timeout: 60_000 + runs * 10_000 },
    async (name) => {
      const found = await search(core, FAMILIES[name], { runs, seed: 1, open: async () => realStore(await open()) });
      expect(found, found).toBeUndefined();
    },
  );
}
