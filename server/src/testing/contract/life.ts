import assert from "node:assert/strict";
import { accept, draft, hasCode, readAll, type Suite } from "./harness.ts";

/** Closing, and opening again what promises to last. */
export function lifeTests({ test, reopen }: Suite): void {
  test("finishes what it began before it closes, and nothing after", async (broker) => {
    const { epoch } = await accept(broker, draft("ana"));
    const moving = broker.advance("ana", "phone", epoch, { delivered: 1 });
    const begun = Array.from({ length: 1_000 }, () => accept(broker, draft("ana")));
    await broker.close();
    await moving;
    assert.equal((await Promise.all(begun)).at(-1)?.offset, 1_001);
    await broker.close();
    const listener = { entry() {}, signal() {}, cursors() {}, control() {}, interrupted() {} };
    for (const late of [
      () => broker.publish([draft("ana")]),
      () => broker.read("ana", 0, 1),
      () => broker.advance("ana", "phone", epoch, { delivered: 1 }),
      () => broker.position("ana"),
      () => broker.subscribe("ana", listener),
      () => broker.listen("n1", listener.control),
      () => broker.purge("ana"),
    ]) {
      await assert.rejects(late, hasCode("SERVER_CLOSED"));
    }
    broker.signal("ana", { text: '"late",null', bytes: 11 });
    broker.tell({ userId: "ana" }, { head: {} });
  });

  if (!reopen) return;

  test(
    "finds everything again after it was opened anew",
    async (broker) => {
      const limits = { maxMailboxMessages: 2 };
      const key = { key: "k", digest: "d", receipts: "read" } as const;
      const first = await accept(broker, draft("ana", { key }));
      for (let count = 0; count < 3; count++) await accept(broker, draft("ana", { attachments: [new Uint8Array([count])] }));
      await broker.publish([draft("ana", { devices: { only: "phone" } })]);
      const missed = [{ first: 1, last: 2 }];
      await broker.advance("ana", "phone", first.epoch, { delivered: 3, read: 2, missed, unshown: true, transient: true });
      const before = [await broker.read("ana", 0, 10), await broker.position("ana"), await broker.recall("ana", undefined, "k")];
      await broker.close();

      const again = await reopen(broker, limits);
      try {
        const after = [await again.read("ana", 0, 10), await again.position("ana"), await again.recall("ana", undefined, "k")];
        assert.deepEqual(after, before);
        assert.deepEqual(await again.publish([draft("ana", { key })]), [{ ...first, state: "duplicate" }]);
        const next = await accept(again, draft("ana"));
        assert.deepEqual([next.epoch, next.offset], [first.epoch, 6]);
        assert.deepEqual(
          (await readAll(again, "ana")).map(({ offset }) => offset),
          [5, 6],
        );
      } finally {
        await again.close();
      }
    },
    { maxMailboxMessages: 2 },
  );

  test("keeps its limits after it was opened anew", async (broker) => {
    await accept(broker, draft("ana", { bytes: 60 }));
    await accept(broker, draft("bo", { bytes: 30, key: { key: "k", digest: "d" } }));
    await broker.close();
    const again = await reopen(broker, { maxTotalBytes: 100, maxMailboxes: 2, maxIdempotencyKeys: 1 });
    try {
      const results = await again.publish([
        draft("ana", { bytes: 11 }),
        draft("cy", { bytes: 1 }),
        draft("ana", { bytes: 1, key: { key: "k2", digest: "d" } }),
        draft("ana", { bytes: 10 }),
      ]);
      assert.deepEqual(
        results.map((result) => (result.state === "failed" ? result.error.code : result.state)),
        ["STORE_FULL", "STORE_FULL", "IDEMPOTENCY_FULL", "accepted"],
      );
    } finally {
      await again.close();
    }
  });
}
