import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll } from "vitest";
import { lmdb } from "../../src/broker/lmdb.ts";
import { testOverStores } from "../simulation/real-runs.ts";

// The runs of the simulation over real folders.

let folder = "";
let stores = 0;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "usercast-simulation-"));
});
afterAll(() => rm(folder, { recursive: true }));

await testOverStores(async () => {
  stores += 1;
  return lmdb({ path: join(folder, String(stores)), ...(stores % 2 === 0 && { maxJournalBytes: 2_000 }) });
}, 20);
