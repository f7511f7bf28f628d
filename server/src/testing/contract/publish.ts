import assert from "node:assert/strict";
import { accept, describeResult, draft, readAll, type Suite, texts } from "./harness.ts";

/** Ids that a careless store mixes up, mangles or refuses. */
const AWKWARD_IDS = [
  "a",
  "a ",
  "ab",
  "A",
  "__proto__",
  "constructor",
  "1",
  "01",
  "a/b",
  "{a}",
  "é",
  "e\u0301",
  "\u{10ffff}",
  "\ufeffa",
  "x".repeat(512),
  `${"x".repeat(511)}y`,
  "\u{1f600}".repeat(128),
  `${"\u{1f600}".repeat(127)}\u{1f601}`,
];

/** What is accepted gets the next place, whole and alone. */
export function publishTests({ test }: Suite): void {
  test("gives the offsets 1, 2, 3 and times that rise", async (broker) => {
    const results = [await accept(broker, draft("ana")), await accept(broker, draft("ana")), await accept(broker, draft("ana"))];
    assert.deepEqual(
      results.map(({ offset }) => offset),
      [1, 2, 3],
    );
    assert.equal(new Set(results.map(({ epoch }) => epoch)).size, 1);
    assert.match(results[0]?.epoch ?? "", /^[A-Za-z0-9_-]{1,64}$/);
    const times = results.map(({ at }) => at);
    assert.deepEqual(
      times,
      [...new Set(times)].sort((a, b) => a - b),
    );
  });

  test("answers every draft at its index, whoever it is for", async (broker) => {
    const results = await broker.publish([draft("ana"), draft("bo"), draft("ana"), draft("bo"), draft("cy")]);
    assert.deepEqual(
      results.map((result) => result.state !== "failed" && result.offset),
      [1, 1, 2, 2, 1],
    );
    assert.deepEqual(await broker.publish([]), []);
  });

  test("appends in the order of the calls, also when they do not wait for each other", async (broker) => {
    const calls = Array.from({ length: 200 }, (_, index) => accept(broker, draft("ana", { content: `m${index}` })));
    const offsets = (await Promise.all(calls)).map(({ offset }) => offset);
    assert.deepEqual(
      offsets,
      offsets.map((_, index) => index + 1),
    );
    const entries = await readAll(broker, "ana", 7);
    assert.deepEqual(
      texts(entries),
      offsets.map((_, index) => `"message","m${index}"`),
    );
  });

  test("keeps every part of a message as it was", async (broker) => {
    const attachments = [new Uint8Array([0, 255, 1]), new Uint8Array(0)];
    const sent = draft("ana", {
      text: '"photo 📷",{"_placeholder":true,"num":0}',
      attachments,
      bytes: 48,
      from: "bo",
      key: { key: "k 1", digest: "d" },
    });
    const { offset, at } = await accept(broker, sent);
    const [entry] = await readAll(broker, "ana");
    assert.deepEqual(
      { ...entry, attachments: entry?.attachments?.map((part) => [...part]) },
      {
        offset,
        at,
        expiresAt: at + 3_600_000,
        text: sent.text,
        attachments: [[0, 255, 1], []],
        bytes: 48,
        from: "bo",
        key: "k 1",
      },
    );
    await accept(broker, draft("ana"));
    const plain = (await readAll(broker, "ana"))[1];
    assert.deepEqual(Object.keys(plain ?? {}).sort(), ["at", "bytes", "expiresAt", "offset", "text"]);
  });

  test("keeps mailboxes apart, whatever their names", async (broker) => {
    await broker.publish(AWKWARD_IDS.flatMap((id) => [draft(id, { content: id }), draft(id, { content: `${id}!` })]));
    for (const id of AWKWARD_IDS) {
      assert.deepEqual(texts(await readAll(broker, id)), [
        `"message",${JSON.stringify(id)}`,
        `"message",${JSON.stringify(`${id}!`)}`,
      ]);
      const { epoch } = await broker.position(id);
      await broker.advance(id, "phone", epoch, { delivered: 1 });
      assert.equal((await broker.position(id)).devices.get("phone")?.delivered, 1);
    }
  });

  test(
    "does not let one draft's failure fail another",
    async (broker) => {
      const results = await broker.publish([draft("ana"), draft("ana", { bytes: 101 }), draft("ana")]);
      assert.deepEqual(results.map(describeResult), ["accepted", "PAYLOAD_TOO_LARGE", "accepted"]);
      assert.deepEqual(
        (await readAll(broker, "ana")).map(({ offset }) => offset),
        [1, 2],
      );
    },
    { maxMailboxBytes: 100 },
  );

  test("appends a retried draft once and answers as it did before", async (broker) => {
    const once = draft("ana");
    const first = await accept(broker, once);
    await accept(broker, draft("ana"));
    assert.deepEqual(await accept(broker, once), first);
    const twin = draft("ana");
    const [one, two] = await broker.publish([twin, twin]);
    assert.deepEqual(one, two);
    assert.equal((await readAll(broker, "ana")).length, 3);
  });

  test(
    "retries what was refused afresh",
    async (broker) => {
      const message = draft("bo");
      await accept(broker, draft("ana"));
      assert.equal(describeResult((await broker.publish([message]))[0]), "STORE_FULL");
      await broker.purge("ana");
      await accept(broker, message);
    },
    { maxMailboxes: 1 },
  );
}
