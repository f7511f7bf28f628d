import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { redis } from "../../src/broker/redis.ts";
import { coreIn } from "../simulation/core.ts";
import { FAMILIES, LASTING } from "../simulation/families.ts";
import { type RealStore, realStore } from "../simulation/real-store.ts";
import { search } from "../simulation/search.ts";
import { startServer, type TestServer } from "./server.ts";

// The runs of the simulation over a real Redis. What a rewound one does is held by `lost-store.test.ts`.

const SOURCES = fileURLToPath(new URL("../../src", import.meta.url));
/** Of each family: a run waits for Redis after every step. */
const RUNS = Number(process.env["SIMULATE_REAL_RUNS"] ?? 50);

const core = await coreIn(SOURCES);
let server: TestServer;
let stores = 0;

beforeAll(async () => {
  server = await startServer("--appendfsync", "no");
});
afterAll(() => server.stop());

async function open(): Promise<RealStore> {
  stores += 1;
  return realStore(await redis({ url: server.url, prefix: `run-${stores}:`, durability: "relaxed" }));
}

test.each(LASTING.map((name) => [name, FAMILIES[name].promise] as const))(
  "%s: %s",
  { timeout: 60_000 + RUNS * 10_000 },
  async (name) => {
    const found = await search(core, FAMILIES[name], { runs: RUNS, seed: 1, open });
    expect(found, found).toBeUndefined();
  },
);
