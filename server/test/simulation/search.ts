import fc from "fast-check";
import { broken } from "./checker.ts";
import type { Core } from "./core.ts";
import { type Deed, lines, scripts } from "./deeds.ts";
import type { Family } from "./families.ts";
import type { RunRecord } from "./record.ts";
import { World } from "./world.ts";

/** One run from its beginning to its end. */
export async function run(core: Core, family: Family, script: readonly Deed[], seed: number): Promise<RunRecord> {
  const world = new World(core, family, seed);
  await world.begin();
  for (const deed of script) await world.act(deed);
  await world.heal();
  await world.close();
  return world.record;
}

/** How a search is made: how many runs, and from which seed. */
export interface Search {
  readonly runs: number;
  readonly seed: number | undefined;
  /** Whether what is found is made as short as can be. @default true */
  readonly shrinks?: boolean;
}

/** Searches a family for a run that breaks a promise; answers how it can be seen again, or nothing. */
export async function search(core: Core, family: Family, { runs, seed, shrinks = true }: Search): Promise<string | undefined> {
  const property = fc.asyncProperty(scripts(family.troubles), fc.nat(), async (script, chance) => {
    const [first] = broken(await run(core, family, script, chance));
    if (first !== undefined) throw new Error(first);
  });
  const found = await fc.check(property, { numRuns: runs, endOnFailure: !shrinks, ...(seed !== undefined && { seed }) });
  if (!found.failed) return undefined;
  const [script = [], chance] = found.counterexample ?? [];
  const error = found.errorInstance instanceof Error ? (found.errorInstance.stack ?? "") : String(found.errorInstance);
  return `${error}\n\nRun ${found.numRuns} of seed ${found.seed}, path ${found.counterexamplePath}; shrunk, with chance ${chance}:\n${lines(script)}\n`;
}
