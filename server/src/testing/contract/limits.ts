import assert from "node:assert/strict";
import { accept, describeResult, draft, readAll, refuse, type Suite, until } from "./harness.ts";

/** A message that counts for so many bytes. */
const sized = (userId: string, bytes: number, ttlMs = 60_000) => draft(userId, { bytes, ttlMs });

/** Everything is bounded, and says so. */
export function limitTests({ test, elapse }: Suite): void {
  test(
    "drops the oldest messages over the number a mailbox holds",
    async (broker) => {
      for (let count = 0; count < 50; count++) await broker.publish([draft("ana"), draft("ana"), draft("ana"), draft("ana")]);
      const page = await broker.read("ana", 0, 10);
      assert.deepEqual([page.entries[0]?.offset, page.trimmed, page.head.offset], [161, 160, 200]);
      const kept = (await readAll(broker, "ana", 7)).map(({ offset }) => offset);
      assert.deepEqual(
        kept,
        Array.from({ length: 40 }, (_, index) => 161 + index),
      );
    },
    { maxMailboxMessages: 40 },
  );

  test(
    "drops the oldest messages over the bytes a mailbox holds",
    async (broker) => {
      await broker.publish([sized("ana", 40), sized("ana", 40), sized("ana", 20), sized("ana", 50)]);
      const page = await broker.read("ana", 0, 10);
      assert.deepEqual([page.entries.map(({ offset }) => offset), page.trimmed], [[3, 4], 2]);
      await accept(broker, sized("ana", 100));
      const full = await broker.read("ana", 0, 10);
      assert.deepEqual([full.entries.map(({ offset }) => offset), full.trimmed], [[5], 4]);
      await refuse(broker, sized("ana", 101), "PAYLOAD_TOO_LARGE");
      assert.deepEqual((await readAll(broker, "ana"))[0]?.offset, 5);
    },
    { maxMailboxBytes: 100 },
  );

  test(
    "lets expired messages go before it drops any other",
    async (broker) => {
      await broker.publish([sized("ana", 10), sized("ana", 10, 300), sized("ana", 10, 300)]);
      await elapse(400);
      await elapse(1_000); // lets the sweep come by where publishing does not look
      await accept(broker, sized("ana", 10));
      const page = await broker.read("ana", 0, 10);
      assert.deepEqual([page.entries.map(({ offset }) => offset), page.trimmed], [[1, 4], 0]);
    },
    { maxMailboxMessages: 3, sweepIntervalMs: 500 },
  );

  test(
    "refuses one mailbox too many, and goes on with those it has",
    async (broker) => {
      const results = await broker.publish([draft("ana"), draft("bo"), draft("cy"), draft("ana")]);
      assert.deepEqual(results.map(describeResult), ["accepted", "accepted", "STORE_FULL", "accepted"]);
      assert.deepEqual(await readAll(broker, "cy"), []);
      await broker.purge("bo");
      await accept(broker, draft("cy"));
      await refuse(broker, draft("bo"), "STORE_FULL");
    },
    { maxMailboxes: 2 },
  );

  test(
    "refuses messages over the bytes of the store, and drops none of another mailbox for them",
    async (broker) => {
      const results = await broker.publish([sized("ana", 60), sized("bo", 60), sized("bo", 40)]);
      assert.deepEqual(results.map(describeResult), ["accepted", "STORE_FULL", "accepted"]);
      await refuse(broker, sized("ana", 1), "STORE_FULL");
      await refuse(broker, sized("bo", 101), "PAYLOAD_TOO_LARGE");
      assert.equal((await readAll(broker, "ana")).length, 1);
      await broker.purge("ana");
      await accept(broker, sized("bo", 60));
    },
    { maxTotalBytes: 100 },
  );

  test(
    "takes the place of what its own mailbox drops in a full store",
    async (broker) => {
      await broker.publish([sized("ana", 50), sized("bo", 50)]);
      await accept(broker, sized("ana", 50));
      const page = await broker.read("ana", 0, 10);
      assert.deepEqual([page.entries.map(({ offset }) => offset), page.trimmed], [[2], 1]);
      await refuse(broker, sized("cy", 1), "STORE_FULL");
    },
    { maxTotalBytes: 100, maxMailboxMessages: 1 },
  );

  test(
    "counts exactly what it holds, after drops and expiry",
    async (broker) => {
      for (let count = 0; count < 5; count++) await accept(broker, sized("ana", 10, 300));
      await elapse(400);
      await elapse(1_000); // lets the sweep come by
      await until(async () => describeResult((await broker.publish([sized("bo", 60)]))[0]) === "accepted", "there is room");
      await refuse(broker, sized("cy", 41), "STORE_FULL");
      await accept(broker, sized("cy", 40));
      await refuse(broker, sized("cy", 1), "STORE_FULL");
    },
    { maxTotalBytes: 100, maxMailboxMessages: 2, sweepIntervalMs: 500 },
  );

  test(
    "has room again when messages have expired",
    async (broker) => {
      await broker.publish([sized("ana", 50, 300), sized("bo", 50, 300)]);
      await refuse(broker, sized("cy", 80), "STORE_FULL");
      await elapse(400);
      await until(async () => describeResult((await broker.publish([sized("cy", 80)]))[0]) === "accepted", "there is room");
    },
    { maxTotalBytes: 100 },
  );

  test(
    "rejects what a full mailbox has no room for, where that is its policy",
    async (broker) => {
      await broker.publish([sized("ana", 10), sized("ana", 10, 300), sized("ana", 10)]);
      await refuse(broker, sized("ana", 10), "MAILBOX_FULL");
      await refuse(broker, { ...sized("ana", 10), key: { key: "k", digest: "d" } }, "MAILBOX_FULL");
      await accept(broker, sized("bo", 10));
      const { entries, trimmed, head } = await broker.read("ana", 0, 10);
      assert.deepEqual([entries.map(({ offset }) => offset), trimmed, head.offset], [[1, 2, 3], 0, 3]);
      // What has expired makes room.
      await elapse(400);
      assert.equal((await accept(broker, sized("ana", 10))).offset, 4);
      await refuse(broker, sized("ana", 10), "MAILBOX_FULL");
    },
    { maxMailboxMessages: 3, whenFull: "reject" },
  );

  test(
    "rejects by bytes too",
    async (broker) => {
      await broker.publish([sized("ana", 60)]);
      await refuse(broker, sized("ana", 41), "MAILBOX_FULL");
      await accept(broker, sized("ana", 40));
    },
    { maxMailboxBytes: 100, whenFull: "reject" },
  );
}
