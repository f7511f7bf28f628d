import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { coreIn } from "./core.ts";
import { FAMILIES } from "./families.ts";
import { MUTATIONS, type Mutation } from "./mutations.ts";
import { search } from "./search.ts";

// The simulation under test: a fault that somebody makes in the server must not get past it.

const SOURCES = fileURLToPath(new URL("../../src", import.meta.url));
/** Inside the repository, because only there imports of packages are found. Git does not see it. */
const MUTANTS = fileURLToPath(new URL("mutants", import.meta.url));
const RUNS = 1_000;
/** The same every time, so that what is found today is found tomorrow. */
const SEED = 1;

let folder: string;

beforeAll(async () => {
  await mkdir(MUTANTS, { recursive: true });
  folder = await mkdtemp(join(MUTANTS, "run-"));
});

afterAll(() => rm(folder, { recursive: true, force: true }));

/** The server's sources with one fault in them. */
async function mutant({ file, text, replacement }: Mutation, name: string): Promise<string> {
  const copy = join(folder, name);
  await cp(SOURCES, copy, { recursive: true, filter: (path) => !path.endsWith(".test.ts") });
  const source = await readFile(join(copy, file), "utf8");
  const [before = "", after, ...more] = source.split(text);
  if (after === undefined || more.length > 0) throw new Error(`${file} must have exactly one ${JSON.stringify(text)}`);
  await writeFile(join(copy, file), before + replacement + after);
  return copy;
}

test.each(MUTATIONS.map((mutation, i) => ({ ...mutation, name: `${i}` })))(
  "it is found that $fault",
  { timeout: 60_000 },
  async ({ name, ...mutation }) => {
    const core = await coreIn(await mutant(mutation, name));
    const found = await search(core, FAMILIES[mutation.family], { runs: RUNS, seed: SEED, shrinks: false });
    expect(found).toBeDefined();
    if (process.env["SIMULATE_SHOW"])
      console.log(
        mutation.fault,
        "\n",
        found?.split("\n").find((line) => line !== ""),
        "\n",
        found?.match(/Run \d+/)?.[0],
      );
  },
);
