import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, it } from "vitest";
import type { Broker } from "../ports.ts";
import { brokerContract, ManualClock } from "../testing/contract.ts";
import { lmdb } from "./lmdb.ts";

const clock = new ManualClock();
const root = mkdtempSync(join(tmpdir(), "usercast-lmdb-"));
const paths = new Map<Broker, string>();

afterAll(() => rmSync(root, { recursive: true, force: true }));

async function open(limits: object, path = mkdtempSync(join(root, "box-"))): Promise<Broker> {
  const broker = await lmdb({ ...limits, path, clock, warn: () => {} });
  paths.set(broker, path);
  return broker;
}

brokerContract("lmdb", {
  describe,
  it,
  open,
  reopen: (closed, limits) => open(limits, paths.get(closed)),
  elapse: (ms) => clock.advance(ms),
});
