import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { lmdb } from "../../src/broker/lmdb.ts";
import { coreIn } from "../simulation/core.ts";
import { FAMILIES, LASTING } from "../simulation/families.ts";
import { type RealStore, realStore } from "../simulation/real-store.ts";
import { search } from "../simulation/search.ts";

// The runs of the simulation over real folders.

const SOURCES = fileURLToPath(new URL("../../src", import.meta.url));
/** Of each family: a run waits for the disk after every step. */
const RUNS = Number(process.env["SIMULATE_REAL_RUNS"] ?? 20);

const core = await coreIn(SOURCES);
let folder = "";
let stores = 0;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "usercast-simulation-"));
});
afterAll(() => rm(folder, { recursive: true }));

async function open(): Promise<RealStore> {
  stores += 1;
  return realStore(await lmdb({ path: join(folder, String(stores)) }));
}

test.each(LASTING.map((name) => [name, FAMILIES[name].promise] as const))(
  "%s: %s",
  { timeout: 60_000 + RUNS * 10_000 },
  async (name) => {
    const found = await search(core, FAMILIES[name], { runs: RUNS, seed: 1, open });
    expect(found, found).toBeUndefined();
  },
);
