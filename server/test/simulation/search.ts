import fc from "fast-check";
import { broken } from "./checker.ts";
import type { Core } from "./core.ts";
import { type Deed, lines, scripts } from "./deeds.ts";
import type { Family } from "./families.ts";
import type { RealStore } from "./real-store.ts";
import type { RunRecord } from "./record.ts";
import { World } from "./world.ts";

/** One run from its beginning to its end. */
export async function run(
  core: Core,
  family: Family,
  script: readonly Deed[],
  seed: number,
  real?: RealStore,
): Promise<RunRecord> {
  const world = new World(core, family, seed, real);
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
  /** Opens a real store for one run, which closes it. @default the memory broker */
  readonly open?: () => Promise<RealStore>;
}

/** Searches a family for a run that breaks a promise; answers how it can be seen again, or nothing. */
export async function search(
  core: Core,
  family: Family,
  { runs, seed, shrinks = true, open }: Search,
): Promise<string | undefined> {
  const wrongs = async (script: readonly Deed[], chance: number): Promise<readonly string[]> => {
    try {
      return broken(await run(core, family, script, chance, await open?.()));
    } catch (error) {
      return [error instanceof Error ? (error.stack ?? error.message) : String(error)];
    }
  };
  const property = fc.asyncProperty(
    scripts(family.troubles),
    fc.nat(),
    async (script, chance) => (await wrongs(script, chance)).length === 0,
  );
  const found = await fc.check(property, { numRuns: runs, endOnFailure: true, ...(seed !== undefined && { seed }) });
  if (!found.failed) return undefined;
  const [script = [], chance = 0] = found.counterexample ?? [];
  const isWrong = async (tried: readonly Deed[]): Promise<boolean> => (await wrongs(tried, chance)).length > 0;
  const shortest = shrinks ? await shortened(script, isWrong) : script;
  const what = (await wrongs(shortest, chance)).join("\n");
  return `${what}\n\nRun ${found.numRuns} of seed ${found.seed}; the shortest that shows it, with chance ${chance}:\n${lines(shortest)}\n`;
}

/**
 * Leaves deeds out as long as it goes wrong without them: halves, then quarters, down to single ones. fast-check's own way takes
 * minutes, because it tries the numbers of each deed one after the other.
 */
async function shortened(
  script: readonly Deed[],
  isWrong: (tried: readonly Deed[]) => Promise<boolean>,
): Promise<readonly Deed[]> {
  let shortest = script;
  for (let size = Math.ceil(script.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let at = 0; at < shortest.length; ) {
      const tried = [...shortest.slice(0, at), ...shortest.slice(at + size)];
      if (await isWrong(tried)) shortest = tried;
      else at += size;
    }
  }
  return shortest;
}
