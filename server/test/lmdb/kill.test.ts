import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { lmdb } from "../../src/broker/lmdb.ts";
import type { Broker, Entry } from "../../src/ports.ts";
import { type Accepted, Publisher } from "./child.ts";

/** More rounds find rarer moments; a few of them keep the suite quick. */
const ROUNDS = Number(process.env["KILL_ROUNDS"] ?? 5);

let path: string;
let publisher: Publisher | undefined;

beforeEach(() => {
  path = mkdtempSync(join(tmpdir(), "usercast-kill-"));
});

afterEach(async () => {
  await publisher?.kill();
  rmSync(path, { recursive: true, force: true });
});

async function readAll(broker: Broker, userId: string): Promise<ReadonlyMap<number, Entry>> {
  const entries = new Map<number, Entry>();
  for (let after = 0; ; ) {
    const page = await broker.read(userId, after, 1_000);
    // Nothing was dropped, so there are no holes.
    expect(page.entries.findIndex((entry, index) => entry.offset !== after + 1 + index)).toBe(-1);
    for (const entry of page.entries) entries.set(entry.offset, entry);
    after = page.through;
    if (after === page.head.offset) return entries;
  }
}

it("keeps all it accepted, in order, through kills at random moments", { timeout: 30_000 + ROUNDS * 5_000 }, async () => {
  const accepted: Accepted[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    publisher = new Publisher(path, 1 + Math.floor(Math.random() * 60));
    const { accepted: told } = publisher;
    await publisher.until(() => told.length > 0);
    const enough = 1 + Math.floor(Math.random() * 3_000);
    const lastMoment = performance.now() + Math.random() * 500;
    await publisher.until(() => told.length >= enough || performance.now() > lastMoment);
    await publisher.kill();
    accepted.push(...told);

    // It opens at once: the kernel took the lock of the killed process.
    const broker = await lmdb({ path, maxMailboxMessages: 1_000_000, maxMailboxBytes: 1e9 });
    for (const userId of new Set(accepted.map((one) => one.userId))) {
      const entries = await readAll(broker, userId);
      const isLost = (one: Accepted) => one.userId === userId && !entries.get(one.offset)?.text.includes(`"${one.content}`);
      expect(accepted.filter(isLost)).toEqual([]);
    }
    for (const one of told.slice(-20)) {
      const key = { key: one.content, digest: one.content };
      const again = { id: `again ${one.content}`, userId: one.userId, text: '"x",1', bytes: 5, ttlMs: 1_000, key };
      expect(await broker.publish([again])).toMatchObject([{ state: "duplicate", offset: one.offset }]);
    }
    await broker.close();
  }
  expect(accepted.length).toBeGreaterThan(ROUNDS);
});

it("keeps a second process out while the first lives", async () => {
  const first = new Publisher(path, 1);
  publisher = first;
  await first.until(() => first.accepted.length > 0);
  const second = new Publisher(path, 1);
  await second.ended();
  expect([second.accepted, second.failures]).toEqual([[], ["STORE_LOCKED"]]);
  await expect(lmdb({ path })).rejects.toMatchObject({ code: "STORE_LOCKED" });
  const before = first.accepted.length;
  await first.until(() => first.accepted.length > before);
  await first.kill();
  await (await lmdb({ path })).close();
});
