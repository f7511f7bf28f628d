import { afterAll, beforeAll, describe } from "vitest";
import { boundedByServer } from "../../test/redis/bounds.ts";
import { startServer, type TestServer } from "../../test/redis/server.ts";
import { brokerContract } from "../testing/contract.ts";
import { redis } from "./redis.ts";

let server: TestServer;
let stores = 0;

beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server.stop());

brokerContract("redis", {
  ...boundedByServer,
  describe,
  open: async (limits) => {
    stores += 1;
    return redis({ url: server.url, prefix: `test-${stores}:`, ...limits });
  },
  elapse: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
});
