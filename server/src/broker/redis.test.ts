import { afterAll, beforeAll, describe, it } from "vitest";
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
  describe,
  it,
  open: async (limits) => {
    stores += 1;
    return redis({ url: server.url, prefix: `test-${stores}:`, ...limits });
  },
  elapse: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
  gaps: Object.fromEntries(
    [
      "retries what was refused afresh",
      "refuses one mailbox too many, and goes on with those it has",
      "refuses messages over the bytes of the store, and drops none of another mailbox for them",
      "takes the place of what its own mailbox drops in a full store",
      "counts exactly what it holds, after drops and expiry",
      "has room again when messages have expired",
      "refuses new keys at their bound and forgets none early",
    ].map((name) => [name, "what the whole store holds is bounded by the server's own maxmemory, with noeviction"]),
  ),
});
