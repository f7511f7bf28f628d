import assert from "node:assert/strict";
import type { Broker, Control, CursorsMoved, Entry, MailboxListener, Signal } from "../../ports.ts";
import { accept, draft, readAll, type Suite, texts, until } from "./harness.ts";

/** A listener that writes down what it hears. */
function recorder() {
  const heard = {
    entries: [] as Entry[],
    signals: [] as Signal[],
    cursors: [] as CursorsMoved[],
    controls: [] as Control[],
    interruptions: 0,
  };
  const listener: MailboxListener = {
    entry: (entry) => heard.entries.push(entry),
    signal: (signal) => heard.signals.push(signal),
    cursors: (moved) => heard.cursors.push(moved),
    control: (control) => heard.controls.push(control),
    interrupted: () => heard.interruptions++,
  };
  return { heard, listener };
}

const offsets = (entries: readonly Entry[]): readonly number[] => entries.map(({ offset }) => offset);

/** Who hears of what, and in which order. */
export function listeningTests({ test }: Suite): void {
  test("tells every listener of a user each entry, in order and as it is read", async (broker) => {
    const [one, two, other] = [recorder(), recorder(), recorder()];
    await broker.subscribe("ana", one.listener);
    await broker.subscribe("ana", two.listener);
    await broker.subscribe("bo", other.listener);
    await Promise.all(Array.from({ length: 50 }, () => accept(broker, draft("ana"))));
    await until(() => one.heard.entries.length >= 50 && two.heard.entries.length >= 50, "the entries arrive");
    assert.deepEqual(one.heard.entries, await readAll(broker, "ana"));
    assert.deepEqual(two.heard.entries, one.heard.entries);
    assert.deepEqual(other.heard.entries, []);
  });

  test("tells of an entry only when it can be read", async (broker) => {
    const reads: Promise<readonly Entry[]>[] = [];
    await broker.subscribe("ana", { ...recorder().listener, entry: () => reads.push(readAll(broker, "ana")) });
    const { offset } = await accept(broker, draft("ana"));
    await until(() => reads.length === 1, "the entry arrives");
    assert.deepEqual(offsets((await reads[0]) ?? []), [offset]);
  });

  test("leaves nothing between a subscription and the read after it", async (broker) => {
    const publishing = Array.from({ length: 100 }, () => accept(broker, draft("ana")));
    const { heard, listener } = recorder();
    await broker.subscribe("ana", listener);
    const known = await readAll(broker, "ana");
    await Promise.all(publishing);
    const seen = () => new Set([...offsets(known), ...offsets(heard.entries)]);
    await until(() => seen().size === 100, "every entry is read or heard");
  });

  test("keeps the order when a listener publishes", async (broker) => {
    const { heard, listener } = recorder();
    let nested: ReturnType<typeof accept> | undefined;
    const echo: MailboxListener = {
      ...recorder().listener,
      entry: () => {
        nested ??= accept(broker, draft("ana", { content: "echo" }));
      },
    };
    await broker.subscribe("ana", echo);
    await broker.subscribe("ana", listener);
    const first = await accept(broker, draft("ana"));
    await until(() => heard.entries.length === 2, "both entries arrive");
    assert.deepEqual([first.offset, (await nested)?.offset, offsets(heard.entries)], [1, 2, [1, 2]]);
  });

  test("is not disturbed by a listener that throws", async (broker) => {
    const { heard, listener } = recorder();
    const fails = () => {
      throw new Error("a listener must not throw, and this one does");
    };
    await broker.subscribe("ana", { entry: fails, signal: fails, cursors: fails, control: fails, interrupted: fails });
    await broker.subscribe("ana", listener);
    const { epoch } = await accept(broker, draft("ana"));
    broker.signal("ana", { text: '"typing",null', bytes: 13 });
    await broker.advance("ana", "phone", epoch, { delivered: 1 });
    await until(() => heard.entries.length + heard.signals.length + heard.cursors.length === 3, "all three arrive");
  });

  test("tells many signals of one moment in their order, to everybody theirs", async (broker) => {
    const all = [];
    for (const user of ["ana", "bo", "cy"]) {
      const { heard, listener } = recorder();
      await broker.subscribe(user, listener);
      all.push({ user, heard });
    }
    const sent = Array.from({ length: 1_000 }, (_, n) => `"typing","where ${n} ünïcode bytes are"`);
    for (const [n, text] of sent.entries()) {
      const attachments = n % 100 === 0 && { attachments: [new Uint8Array([n % 256])] };
      for (const { user } of all) broker.signal(user, { text, bytes: text.length, ...attachments });
    }
    for (const { heard } of all) {
      await until(() => heard.signals.length === sent.length, "the signals arrive");
      assert.deepEqual(texts(heard.signals), sent);
    }
  });

  test("tells signals to who listens now, and stores none", async (broker) => {
    const { heard, listener } = recorder();
    await broker.subscribe("ana", listener);
    const signal: Signal = { text: '"typing",{"in":"r7"}', bytes: 20, from: "bo", attachments: [new Uint8Array([7])] };
    broker.signal("ana", signal);
    broker.signal("nobody", signal);
    await until(() => heard.signals.length === 1, "the signal arrives");
    assert.equal(heard.signals[0]?.text, signal.text);
    assert.equal(heard.signals[0]?.from, "bo");
    assert.deepEqual([...(heard.signals[0]?.attachments?.[0] ?? [])], [7]);
    assert.equal((await broker.position("ana")).head.offset, 0);
  });

  test("tells controls to the nodes of a user or to one node, and to nobody else", async (broker) => {
    const [ana, again, bo, node] = [recorder(), recorder(), recorder(), recorder()];
    await broker.subscribe("ana", ana.listener);
    await broker.subscribe("ana", again.listener);
    await broker.subscribe("bo", bo.listener);
    const heard: Control[] = [];
    const unlisten = await broker.listen("n1", (control) => heard.push(control));
    await broker.listen("ana", node.listener.control);
    const question: Control = {
      head: { kind: "ask", sockets: ["ä b", "c"], deep: { n: 1 } },
      body: { text: '"confirm",{"_placeholder":true,"num":0}', bytes: 40, attachments: [new Uint8Array([7, 0, 255])] },
    };
    broker.tell({ userId: "ana" }, question);
    broker.tell({ node: "n1" }, { head: { kind: "answer" } });
    broker.tell({ node: "nobody" }, { head: { kind: "answer" } });
    await until(() => ana.heard.controls.length + again.heard.controls.length + heard.length === 3, "all three arrive");
    assert.deepEqual(heard, [{ head: { kind: "answer" } }]);
    for (const { controls } of [ana.heard, again.heard]) {
      assert.deepEqual(controls[0]?.head, question.head);
      assert.equal(controls[0]?.body?.text, question.body?.text);
      assert.deepEqual([...(controls[0]?.body?.attachments?.[0] ?? [])], [7, 0, 255]);
    }
    assert.equal((await broker.position("ana")).head.offset, 0);
    await unlisten();
    await unlisten();
    broker.tell({ node: "n1" }, { head: { kind: "late" } });
    broker.tell({ userId: "ana" }, { head: { kind: "last" } });
    await until(() => ana.heard.controls.length === 2, "the last one arrives");
    assert.deepEqual([heard.length, bo.heard.controls, node.heard.controls], [1, [], []]);
  });

  test("tells of cursors that moved, and of no others", async (broker) => {
    const { heard, listener } = recorder();
    await broker.subscribe("ana", listener);
    const { epoch } = await accept(broker, draft("ana"));
    await accept(broker, draft("ana"));
    await broker.advance("ana", "phone", epoch, { delivered: 1 });
    await broker.advance("ana", "phone", epoch, { delivered: 1 });
    await broker.advance("ana", "phone", "another-epoch", { delivered: 2 });
    await broker.advance("ana", "phone", epoch, { read: 9 });
    await until(() => heard.cursors.length >= 2, "the cursors arrive");
    assert.deepEqual(
      heard.cursors.map(({ device, from, to }) => [device, from, to]),
      [
        ["phone", { delivered: 0, read: 0 }, { delivered: 1, read: 0 }],
        ["phone", { delivered: 1, read: 0 }, { delivered: 1, read: 2 }],
      ],
    );
    assert.ok(heard.cursors.every((moved) => moved.epoch === epoch));
  });

  test("tells with a move what was missed in it, and whether what was read may be told", async (broker) => {
    const { heard, listener } = recorder();
    await broker.subscribe("ana", listener);
    const { epoch } = await accept(broker, draft("ana"));
    for (let count = 0; count < 5; count++) await accept(broker, draft("ana"));
    const missed = [{ first: 2, last: 3 }];
    await broker.advance("ana", "phone", epoch, { delivered: 4, missed });
    await broker.advance("ana", "phone", epoch, { read: 2, unshown: true });
    await broker.advance("ana", "laptop", epoch, { delivered: 4, read: 4 });
    await broker.advance("ana", "phone", epoch, { read: 3 });
    await until(() => heard.cursors.length >= 4, "the cursors arrive");
    assert.deepEqual(
      heard.cursors.map(({ device, from, missed, userRead, unshown }) => [device, from.delivered, missed, userRead, unshown]),
      [
        ["phone", 0, missed, 0, false],
        ["phone", 4, [], 0, true],
        // A device never seen begins where its user has come.
        ["laptop", 4, [], 2, false],
        ["phone", 4, [], 4, false],
      ],
    );
  });

  test("tells nothing after a subscription ended", async (broker) => {
    const [gone, there] = [recorder(), recorder()];
    const unsubscribe = await broker.subscribe("ana", gone.listener);
    const again = await broker.subscribe("ana", gone.listener);
    await broker.subscribe("ana", there.listener);
    await unsubscribe();
    await unsubscribe();
    await accept(broker, draft("ana"));
    await until(() => gone.heard.entries.length === 1, "the entry arrives");
    await again();
    await accept(broker, draft("ana", { content: "later" }));
    await until(() => there.heard.entries.length === 2, "the other listener hears both");
    assert.deepEqual(texts(gone.heard.entries), ['"message","hi"']);
  });

  test("begins a new life after a purge", async (broker: Broker) => {
    const { heard, listener } = recorder();
    const key = { key: "k", digest: "d" };
    const { epoch } = await accept(broker, draft("ana", { key }));
    await accept(broker, draft("bo"));
    await broker.advance("ana", "phone", epoch, { delivered: 1, read: 1 });
    await broker.subscribe("ana", listener);
    await broker.purge("ana");
    await until(() => heard.interruptions === 1, "the listener is interrupted");
    const state = await broker.position("ana");
    assert.notEqual(state.epoch, epoch);
    const nowhere = { epoch: state.epoch, offset: 0, at: 0 };
    assert.deepEqual(state, {
      epoch: state.epoch,
      head: nowhere,
      devices: new Map(),
      user: { delivered: 0, read: 0, missed: [], skipped: [], unshown: [] },
    });
    const next = await accept(broker, draft("ana", { key }));
    assert.deepEqual([next.epoch, next.offset], [state.epoch, 1]);
    assert.equal((await readAll(broker, "ana")).length, 1);
    assert.equal((await readAll(broker, "bo")).length, 1);
    await broker.purge("nobody");
  });
}
