import { afterAll, beforeAll } from "vitest";
import { redis } from "../../src/broker/redis.ts";
import { testOverStores } from "../simulation/real-runs.ts";
import { startServer, type TestServer } from "./server.ts";

// The runs of the simulation over a real Redis. What a rewound one does is held by `lost-store.test.ts`.

let server: TestServer;
let stores = 0;

beforeAll(async () => {
  server = await startServer("--appendfsync", "no");
});
afterAll(() => server.stop());

await testOverStores(async () => {
  stores += 1;
  return redis({ url: server.url, prefix: `run-${stores}:`, durability: "relaxed" });
}, 50);
