import assert from "node:assert/strict";
import { accept, draft, readAll, type Suite } from "./harness.ts";

/** Pages, holes and what is there before the first message. */
export function readTests({ test, elapse }: Suite): void {
  test(
    "knows the epoch of a mailbox before its first message, and writes nothing for it",
    async (broker) => {
      const page = await broker.read("ana", 0, 10);
      const { epoch } = page;
      assert.deepEqual(page, { epoch, head: { epoch, offset: 0, at: 0 }, entries: [], through: 0, trimmed: 0 });
      const nowhere = {
        epoch,
        head: { epoch, offset: 0, at: 0 },
        devices: new Map(),
        user: { delivered: 0, read: 0, missed: [], skipped: [], unshown: [] },
      };
      assert.deepEqual(await broker.position("ana"), nowhere);
      await broker.advance("ana", "phone", epoch, { delivered: 0, read: 0 });
      assert.deepEqual(await broker.position("ana"), nowhere);
      assert.notEqual((await broker.read("bo", 0, 10)).epoch, epoch);
      assert.equal((await accept(broker, draft("ana"))).epoch, epoch);
    },
    { maxMailboxes: 1 },
  );

  test("keeps with an entry which devices it is for", async (broker) => {
    await accept(broker, draft("ana", { devices: { only: "phone" } }));
    await accept(broker, draft("ana", { devices: { except: "laptop" } }));
    const { entries } = await broker.read("ana", 0, 10);
    assert.deepEqual(
      entries.map(({ devices }) => devices),
      [{ only: "phone" }, { except: "laptop" }],
    );
  });

  test("reads pages that say how far they are complete", async (broker) => {
    for (let count = 0; count < 5; count++) await accept(broker, draft("ana"));
    const first = await broker.read("ana", 0, 2);
    assert.deepEqual([first.entries.map(({ offset }) => offset), first.through, first.head.offset], [[1, 2], 2, 5]);
    const last = await broker.read("ana", 3, 10);
    assert.deepEqual([last.entries.map(({ offset }) => offset), last.through], [[4, 5], 5]);
    const none = await broker.read("ana", 5, 10);
    assert.deepEqual([none.entries, none.through], [[], 5]);
    assert.deepEqual((await broker.read("ana", 99, 10)).entries, []);
    assert.equal((await broker.read("ana", 0, 0)).entries.length, 1);
  });

  test("bounds a page in bytes, and always gives at least one message", async (broker) => {
    for (let count = 0; count < 3; count++) await accept(broker, draft("ana", { content: "x".repeat(700_000) }));
    await accept(broker, draft("ana", { content: "x".repeat(2_000_000) }));
    for (let after = 0; after < 4; after++) {
      const page = await broker.read("ana", after, 100);
      assert.deepEqual([page.entries.map(({ offset }) => offset), page.through], [[after + 1], after + 1]);
    }
  });

  test("never gives out what has expired, and leaves a hole there", async (broker) => {
    const kept = await accept(broker, draft("ana", { ttlMs: 60_000 }));
    await accept(broker, draft("ana", { ttlMs: 500 }));
    await accept(broker, draft("ana", { ttlMs: 60_000 }));
    await accept(broker, draft("ana", { ttlMs: 500 }));
    await elapse(600);
    const page = await broker.read("ana", 0, 10);
    assert.deepEqual([page.entries.map(({ offset }) => offset), page.through, page.trimmed], [[1, 3], 4, 0]);
    assert.equal(page.entries[0]?.expiresAt, kept.at + 60_000);
    assert.equal((await accept(broker, draft("ana"))).offset, 5);
  });

  test(
    "keeps nothing longer than its retention",
    async (broker) => {
      const { at } = await accept(broker, draft("ana", { ttlMs: 3_600_000 }));
      assert.equal((await readAll(broker, "ana"))[0]?.expiresAt, at + 800);
      await elapse(900);
      assert.deepEqual(await readAll(broker, "ana"), []);
    },
    { retentionMs: 800 },
  );

  test(
    "remembers epoch and head of a mailbox whose messages are gone",
    async (broker) => {
      const gone = await accept(broker, draft("ana", { ttlMs: 300 }));
      await elapse(400);
      await elapse(1_000); // lets the sweep come by
      const { head } = await broker.position("ana");
      assert.deepEqual(head, { epoch: gone.epoch, offset: 1, at: gone.at });
      const next = await accept(broker, draft("ana"));
      assert.deepEqual([next.epoch, next.offset], [gone.epoch, 2]);
      assert.ok(next.at > gone.at);
    },
    { sweepIntervalMs: 500 },
  );
}
