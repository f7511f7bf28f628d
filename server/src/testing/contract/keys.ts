import assert from "node:assert/strict";
import type { Draft } from "../../ports.ts";
import { accept, draft, readAll, refuse, type Suite, until } from "./harness.ts";

const keyed = (userId: string, key: string, fields: Partial<Draft> = {}): Draft =>
  draft(userId, { key: { key, digest: "of this content" }, ...fields });

/** A key takes effect once. */
export function keyTests({ test, elapse }: Suite): void {
  test("answers a repeated key with the place of its first use", async (broker) => {
    const { epoch, offset, at } = await accept(broker, keyed("ana", "order-1"));
    await accept(broker, draft("ana"));
    assert.deepEqual(await broker.publish([keyed("ana", "order-1")]), [{ state: "duplicate", epoch, offset, at }]);
    const [first, second] = await broker.publish([keyed("ana", "order-2"), keyed("ana", "order-2")]);
    assert.deepEqual(second, { ...first, state: "duplicate" });
    assert.equal((await readAll(broker, "ana")).length, 3);
  });

  test("refuses a key that comes again with other content", async (broker) => {
    await accept(broker, keyed("ana", "order-1"));
    await refuse(broker, keyed("ana", "order-1", { key: { key: "order-1", digest: "of another" } }), "IDEMPOTENCY_CONFLICT");
    assert.equal((await readAll(broker, "ana")).length, 1);
  });

  test("keeps the keys of every sender and recipient apart", async (broker) => {
    await accept(broker, keyed("ana", "k"));
    await accept(broker, keyed("bo", "k"));
    await accept(broker, keyed("ana", "k", { from: "bo" }));
    await accept(broker, keyed("ana", "k", { from: "cy" }));
    await accept(broker, keyed("ana", "k2", { from: "c" }));
    await accept(broker, keyed("ana", "2", { from: "ck" }));
    assert.equal((await readAll(broker, "ana")).length, 5);
  });

  test(
    "remembers a key longer than its message",
    async (broker) => {
      const first = await accept(broker, keyed("ana", "k", { ttlMs: 300 }));
      await accept(broker, draft("ana"));
      await accept(broker, draft("ana"));
      await elapse(400);
      await elapse(1_000); // lets the sweep come by
      const [again] = await broker.publish([keyed("ana", "k")]);
      assert.deepEqual(again, { ...first, state: "duplicate" });
    },
    { maxMailboxMessages: 1, sweepIntervalMs: 500 },
  );

  test(
    "lets a key take effect again when its life is over",
    async (broker) => {
      await accept(broker, keyed("ana", "k"));
      await elapse(600);
      assert.equal((await accept(broker, keyed("ana", "k"))).offset, 2);
      const [again] = await broker.publish([keyed("ana", "k")]);
      assert.equal(again?.state, "duplicate");
    },
    { idempotencyMs: 500 },
  );

  test(
    "refuses new keys at their bound and forgets none early",
    async (broker) => {
      await accept(broker, keyed("ana", "k1"));
      await accept(broker, keyed("bo", "k2"));
      await refuse(broker, keyed("ana", "k3"), "IDEMPOTENCY_FULL");
      await accept(broker, draft("ana"));
      for (const repeated of [keyed("ana", "k1"), keyed("bo", "k2")]) {
        assert.equal((await broker.publish([repeated]))[0]?.state, "duplicate");
      }
      await broker.purge("bo");
      await accept(broker, keyed("ana", "k3"));
      await elapse(800);
      await until(async () => (await broker.publish([keyed("cy", "k4")]))[0]?.state === "accepted", "keys have expired");
    },
    { maxIdempotencyKeys: 2, idempotencyMs: 700 },
  );

  test(
    "recalls what a key came to, for its sender and recipient only and as long as it lives",
    async (broker) => {
      const key = { key: "k", digest: "d", receipts: "delivered" } as const;
      const { state: _, ...position } = await accept(broker, draft("ana", { from: "bo", key, ttlMs: 100 }));
      await accept(broker, keyed("ana", "k"));
      await elapse(200);
      assert.deepEqual(await broker.recall("ana", "bo", "k"), { position, receipts: "delivered" });
      assert.equal((await broker.recall("ana", undefined, "k"))?.receipts, undefined);
      assert.equal((await broker.recall("ana", undefined, "k"))?.position.offset, 2);
      for (const [user, from, name] of [
        ["bo", "bo", "k"],
        ["ana", "cy", "k"],
        ["ana", "bo", "k2"],
        ["nobody", "bo", "k"],
      ] as const) {
        assert.equal(await broker.recall(user, from, name), undefined);
      }
      await elapse(2_000);
      assert.equal(await broker.recall("ana", "bo", "k"), undefined);
    },
    { idempotencyMs: 1_500 },
  );

  test("says how long a key takes effect", async (broker) => assert.equal(broker.idempotencyMs, 1_234), { idempotencyMs: 1_234 });
}
