import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { open as openLmdb } from "lmdb";
import { afterAll, describe, expect, it } from "vitest";
import type { Broker } from "../ports.ts";
import { accept, draft, readAll, texts } from "../testing/contract/harness.ts";
import { brokerContract, ManualClock } from "../testing/contract.ts";
import { type LmdbOptions, lmdb } from "./lmdb.ts";

const clock = new ManualClock();
const root = mkdtempSync(join(tmpdir(), "usercast-lmdb-"));
const paths = new Map<Broker, string>();

afterAll(() => rmSync(root, { recursive: true, force: true }));

const newPath = () => mkdtempSync(join(root, "box-"));

async function open(options: Partial<LmdbOptions>, path = newPath()): Promise<Broker> {
  const broker = await lmdb({ path, clock, warn: () => {}, ...options });
  paths.set(broker, path);
  return broker;
}

describe.each([
  ["as it is", {}],
  ["with hardly a journal", { maxJournalBytes: 1 }],
])("%s", (_, options) => {
  brokerContract("lmdb", {
    describe,
    it,
    open: (limits) => open({ ...options, ...limits }),
    reopen: (closed, limits) => open({ ...options, ...limits }, paths.get(closed)),
    elapse: (ms) => clock.advance(ms),
  });
});

describe("lmdb", () => {
  it("makes its folder, whatever it is called", async () => {
    const path = join(newPath(), "deeply", "nested.d");
    const broker = await open({}, path);
    await accept(broker, draft("ana"));
    await broker.close();
    expect(readdirSync(path).sort()).toEqual(["data.mdb", "lock", "lock.mdb"]);
  });

  it("lets no second broker of this process into its folder, and the next one when it is closed", async () => {
    const path = newPath();
    const broker = await open({}, path);
    await expect(open({}, path)).rejects.toMatchObject({ code: "STORE_LOCKED" });
    await expect(open({}, `${path}/../${path.split("/").at(-1)}`)).rejects.toMatchObject({ code: "STORE_LOCKED" });
    await broker.close();
    await (await open({}, path)).close();
  });

  it("refuses a folder it cannot use, and says which and why", async () => {
    const file = join(newPath(), "file");
    writeFileSync(file, "");
    const path = join(file, "box");
    await expect(open({}, path)).rejects.toMatchObject({ code: "STORE_FAILED", message: expect.stringContaining(path) });
  });

  it("refuses what another version or another program wrote, and leaves it as it is", async () => {
    const newer = newPath();
    await (await open({}, newer)).close();
    const store = openLmdb({ path: newer, noSubdir: false });
    await store.openDB({ name: "state" }).put("format", 99);
    await store.close();
    const refusal = { code: "STORE_FORMAT", message: expect.stringContaining("has format 99") };
    await expect(open({}, newer)).rejects.toMatchObject(refusal);
    await expect(open({}, newer)).rejects.toMatchObject(refusal);

    const foreign = newPath();
    const other = openLmdb({ path: foreign, noSubdir: false });
    await other.openDB({ name: "theirs" }).put("a", 1);
    await other.close();
    await expect(open({}, foreign)).rejects.toMatchObject({ code: "STORE_FORMAT" });

    const garbled = newPath();
    writeFileSync(join(garbled, "data.mdb"), "not a store".repeat(1_000));
    await expect(open({}, garbled)).rejects.toMatchObject({ code: "STORE_FORMAT" });
  });

  it("opens a folder again where opening it was cut short", async () => {
    const path = newPath();
    mkdirSync(path, { recursive: true });
    const store = openLmdb({ path, noSubdir: false, overlappingSync: false });
    store.openDB({ name: "state" });
    await store.close();
    const broker = await open({}, path);
    await accept(broker, draft("ana"));
    await broker.close();
  });

  it("refuses options that make no sense", async () => {
    for (const options of [{ path: "" }, { maxPendingWrites: 0 }, { maxJournalBytes: 0.5 }, { maxTotalBytes: -1 }]) {
      await expect(open(options)).rejects.toMatchObject({ code: "INVALID_OPTIONS" });
    }
  });

  it("gives rising times when the clock was set back while it was closed", async () => {
    const path = newPath();
    const before = await open({ clock: new ManualClock(2_000_000) }, path);
    await accept(before, draft("ana"));
    await before.close();
    const after = await open({ clock: new ManualClock(1_000_000) }, path);
    expect((await accept(after, draft("ana"))).at).toBe(2_000_001);
    await after.close();
  });

  it("tells of nothing, answers nothing and gives out nothing before it is on disk", async () => {
    const broker = await open({});
    const events: string[] = [];
    const listener = { signal() {}, cursors() {}, control() {}, interrupted() {}, entry: () => events.push("heard") };
    await broker.subscribe("ana", listener);
    const publishing = broker.publish([draft("ana")]).then(() => events.push("answered"));
    while (events.length === 0) {
      const { head, entries } = await broker.read("ana", 0, 1);
      expect(entries.length).toBe(head.offset);
      if (head.offset > 0 && events.length === 0) events.push("readable");
      await new Promise(setImmediate);
    }
    await publishing;
    expect(events.filter((event) => event !== "readable")).toEqual(["heard", "answered"]);
    await broker.close();
  });

  it("undoes a batch as a whole when any of it cannot be written", async () => {
    const broker = await open({});
    const tooLongForAnyKey = "x".repeat(4_000);
    const tried = draft("ana", { content: "next" });
    const results = await broker.publish([tried, draft(tooLongForAnyKey), tried, draft("bo")]);
    expect(results).toMatchObject(Array(4).fill({ state: "failed", error: { code: "STORE_FAILED" } }));
    expect((await broker.read("ana", 0, 10)).entries).toEqual([]);
    // Nor is it remembered what would have become of it.
    expect((await accept(broker, tried)).offset).toBe(1);
    expect(texts(await readAll(broker, "ana"))).toEqual(['"message","next"']);
    await broker.close();
  });

  it("has room for a mailbox that outgrows the first size of its file", async () => {
    const broker = await open({});
    const text = `"blob","${"x".repeat(60_000)}"`;
    for (let count = 0; count < 20; count++) {
      await Promise.all(Array.from({ length: 10 }, () => accept(broker, draft("ana", { text, bytes: text.length }))));
    }
    expect((await readAll(broker, "ana")).length).toBe(200);
    await broker.close();
  });

  it("clears away what expired, however much, and leaves no timer behind", async () => {
    const own = new ManualClock();
    const broker = await open({ clock: own, sweepIntervalMs: 1_000, maxTotalBytes: 2_500 });
    await broker.publish(Array.from({ length: 2_500 }, (_, index) => draft(`user${index % 50}`, { bytes: 1, ttlMs: 500 })));
    // Only the sweep frees enough: a publish that finds the store full frees a thousand at most.
    own.advance(1_000);
    await expect.poll(() => own.timers).toBe(1);
    own.advance(20);
    await expect.poll(() => own.timers).toBe(1);
    await accept(broker, draft("ana", { bytes: 2_500 }));
    await broker.close();
    expect(own.timers).toBe(0);
  });
});
