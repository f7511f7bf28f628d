import { afterAll, beforeAll, onTestFinished } from "vitest";
import { redis } from "../../src/broker/redis.ts";
import type { UsercastOptions } from "../../src/index.ts";
import { type Running, start } from "../harness.ts";
import { startServer, type TestServer } from "../redis/server.ts";
import { type Gate, startGate } from "./gate.ts";

/** A store of this file's own, started before its tests and stopped after them. */
export function ownStore(): () => TestServer {
  let server: TestServer;
  beforeAll(async () => {
    server = await startServer();
  });
  afterAll(() => server.stop());
  return () => server;
}

/** A node. Whoever shuts its gate has it die: the others hear nothing of it any more, and its clients stay. */
export interface Node extends Running {
  readonly gate: Gate;
  /** What its keys and channels begin with. */
  readonly prefix: string;
}

let stores = 0;

/** A prefix that no other test uses. */
export const freshPrefix = (): string => {
  stores += 1;
  return `t${stores}:`;
};

/** Short, so that a death is noticed while a test waits for it. */
export const LEASE_MS = 900;

/** Servers that share a store, as nodes of one deployment do. */
export async function nodes(
  { port }: TestServer,
  count: number,
  options: Partial<UsercastOptions> = {},
): Promise<readonly Node[]> {
  const prefix = freshPrefix();
  const logger = { warn: () => {}, error: () => {} };
  return Promise.all(
    Array.from({ length: count }, async (): Promise<Node> => {
      const gate = await startGate(port);
      onTestFinished(() => gate.stop());
      const broker = await redis({ url: gate.url, prefix, commandTimeoutMs: 3_000, warn: () => {} });
      const running = await start({ broker, leaseMs: LEASE_MS, presenceGraceMs: 0, logger, ...options });
      return { ...running, gate, prefix };
    }),
  );
}
