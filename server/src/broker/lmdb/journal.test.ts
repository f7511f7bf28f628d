import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { open } from "lmdb";
import { afterAll, expect, it } from "vitest";
import type { Broker, Draft, KeyUse } from "../../ports.ts";
import { draft, texts } from "../../testing/contract/harness.ts";
import { ManualClock } from "../../testing/contract.ts";
import { type LmdbOptions, lmdb } from "../lmdb.ts";
import { type MemoryOptions, memory } from "../memory.ts";

// Where a message lies, in the journal or in the tables, is to make no difference, also when it has just been moved, or read anew.

const root = mkdtempSync(join(tmpdir(), "usercast-journal-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const SWEEP_MS = 10_000;
const USERS = ["ana", "bo", "cy"];
const DEVICES = ["phone", "laptop"];
const KEYS = ["one", "two", "three"];

/** From everything being moved at once to nothing ever. */
const journals = fc.constantFrom(1, 600, 2_000, 1_000_000);

/** The store under test, which can be closed and opened. */
class Store {
  readonly path = mkdtempSync(join(root, "box-"));
  readonly #options: LmdbOptions;
  #broker: Broker | undefined;

  constructor(options: Omit<LmdbOptions, "path">) {
    this.#options = { path: this.path, warn: () => {}, ...options };
  }

  get broker(): Broker {
    if (!this.#broker) throw new Error("it is closed");
    return this.#broker;
  }

  async reopen(): Promise<void> {
    await this.#broker?.close();
    this.#broker = await lmdb(this.#options);
  }

  async close(): Promise<void> {
    await this.#broker?.close();
  }
}

const user = fc.constantFrom(...USERS);
const bytes = fc.integer({ min: 1, max: 20 });
const draftOf = fc.record(
  { userId: user, bytes, key: fc.constantFrom(...KEYS), digest: fc.constantFrom("a", "b"), device: fc.constantFrom(...DEVICES) },
  { requiredKeys: ["userId", "bytes", "digest"] },
);
const command = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constant("publish" as const), drafts: fc.array(draftOf, { minLength: 1, maxLength: 5 }) }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("advance" as const),
      userId: user,
      device: fc.constantFrom(...DEVICES),
      delivered: fc.nat(20),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("purge" as const), userId: user }) },
);

/** What anybody can find out about a user, but for the epoch: each store has its own. */
async function knownOf(broker: Broker, userId: string): Promise<unknown> {
  const { head, user: cursors, devices } = await broker.position(userId);
  const pages = [];
  for (const after of [0, 3, 7]) {
    const { entries, through, trimmed } = await broker.read(userId, after, 4);
    pages.push({ entries, through, trimmed });
  }
  const keys: (Omit<KeyUse, "position"> & { readonly offset: number | undefined })[] = [];
  for (const key of KEYS) {
    const { position, ...use } = (await broker.recall(userId, undefined, key)) ?? {};
    keys.push({ ...use, offset: position?.offset });
  }
  return { offset: head.offset, at: head.at, cursors, devices: [...devices], pages, keys };
}

it("is what a store in memory is, wherever its content lies", { timeout: 120_000 }, async () => {
  type Command = typeof command extends fc.Arbitrary<infer T> ? T : never;
  const run = async (maxJournalBytes: number, bursts: readonly (readonly Command[])[]) => {
    const clock = new ManualClock();
    const limits = { clock, maxMailboxMessages: 8, maxMailboxBytes: 100, maxDevices: 2, sweepIntervalMs: SWEEP_MS };
    const store = new Store({ ...limits, maxJournalBytes });
    await store.reopen();
    const model = memory({ ...limits, quiet: true } satisfies MemoryOptions);
    const both = async (does: (broker: Broker) => Promise<unknown>): Promise<void> => {
      const [ours, theirs] = await Promise.all([does(store.broker), does(model)]);
      expect(ours).toEqual(theirs);
    };
    let number = 0;
    /** What a command does, once it is known what everybody's epochs were before. */
    const actOf = (one: Command): ((broker: Broker, epochs: ReadonlyMap<string, string>) => Promise<unknown>) => {
      if (one.do === "purge") return (broker) => broker.purge(one.userId);
      if (one.do === "advance") {
        const { userId, device, delivered } = one;
        return (broker, epochs) => broker.advance(userId, device, epochs.get(userId) ?? "", { delivered });
      }
      const drafts = one.drafts.map(({ userId, bytes, key, digest, device }): Draft => {
        number += 1;
        return {
          ...draft(userId, { content: String(number), bytes }),
          ...(key && { key: { key, digest } }),
          ...(device && { devices: { only: device } }),
        };
      });
      return async (broker) =>
        (await broker.publish(drafts)).map((result) =>
          result.state === "failed" ? result.error.code : { state: result.state, offset: result.offset, at: result.at },
        );
    };
    try {
      for (const burst of bursts) {
        const acts = burst.map(actOf);
        await both(async (broker) => {
          const epochs = new Map<string, string>();
          for (const userId of USERS) epochs.set(userId, (await broker.position(userId)).epoch);
          // They share a transaction.
          return Promise.all(acts.map((act) => act(broker, epochs)));
        });
        if (number % 3 === 0) clock.advance(SWEEP_MS);
        if (number % 4 === 0) await store.reopen();
        // A transaction that is undone leaves everything as it was.
        if (number % 5 === 0) expect(await store.broker.publish([draft("x".repeat(4_000))])).toMatchObject([{ state: "failed" }]);
        for (const userId of USERS) await both((broker) => knownOf(broker, userId));
      }
    } finally {
      await store.close();
      await model.close();
    }
  };
  const bursts = fc.array(fc.array(command, { minLength: 1, maxLength: 4 }), { minLength: 5, maxLength: 30 });
  await fc.assert(fc.asyncProperty(journals, bursts, run), { numRuns: 100 });
});

const timed = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant("publish" as const),
      drafts: fc.array(
        fc.record({ userId: user, bytes, ttlMs: fc.constantFrom(500, 3_000, 30_000), key: fc.option(fc.nat(5)) }),
        {
          minLength: 1,
          maxLength: 5,
        },
      ),
    }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("wait" as const), ms: fc.constantFrom(1, 400, 3_000, SWEEP_MS) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("purge" as const), userId: user }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("reopen" as const) }) },
);

it("counts exactly what is left when time is over for all of it", { timeout: 120_000 }, async () => {
  const TOTAL_BYTES = 1_000;
  const TOTAL_KEYS = 40;
  const run = async (
    maxJournalBytes: number,
    maxMailboxMessages: number,
    commands: readonly (typeof timed extends fc.Arbitrary<infer T> ? T : never)[],
  ) => {
    const clock = new ManualClock();
    const limits = { clock, maxMailboxMessages, maxTotalBytes: TOTAL_BYTES, maxIdempotencyKeys: TOTAL_KEYS };
    const store = new Store({ ...limits, maxJournalBytes, idempotencyMs: 5_000, sweepIntervalMs: SWEEP_MS });
    await store.reopen();
    /** Every message that was accepted of those whose user was not purged, and when its time is over. */
    let kept: { readonly userId: string; readonly text: string; readonly expiresAt: number }[] = [];
    let number = 0;
    try {
      for (const one of commands) {
        if (one.do === "reopen") await store.reopen();
        else if (one.do === "wait") clock.advance(one.ms);
        else if (one.do === "purge") {
          await store.broker.purge(one.userId);
          kept = kept.filter(({ userId }) => userId !== one.userId);
        } else {
          const drafts = one.drafts.map(({ userId, bytes, ttlMs, key }): Draft => {
            number += 1;
            const content = String(number);
            return {
              ...draft(userId, { content, bytes, ttlMs }),
              ...(key !== null && { key: { key: String(key), digest: content } }),
            };
          });
          for (const [index, result] of (await store.broker.publish(drafts)).entries()) {
            const { userId, text, ttlMs } = drafts[index] as Draft;
            if (result.state === "accepted") kept.push({ userId, text, expiresAt: result.at + ttlMs });
          }
        }
        for (const name of USERS) {
          const { entries } = await store.broker.read(name, 0, 1_000);
          const left = kept.filter(({ userId, expiresAt }) => userId === name && expiresAt > clock.now());
          expect(texts(entries)).toEqual(
            texts(left)
              .slice(-maxMailboxMessages)
              .slice(-entries.length || left.length),
          );
          if (maxMailboxMessages > number) expect(entries.length).toBe(left.length);
        }
      }
      clock.advance(60_000);
      const publish = async (fields: Parameters<typeof draft>[1]) => {
        const [result] = await store.broker.publish([draft("dee", fields)]);
        return result?.state === "failed" ? result.error.code : result?.state;
      };
      for (let index = 0; index < TOTAL_KEYS; index += 1) {
        expect(await publish({ bytes: 1, ttlMs: 1, key: { key: String(index), digest: "" } })).toBe("accepted");
      }
      expect(await publish({ bytes: 1, key: { key: "more", digest: "" } })).toBe("IDEMPOTENCY_FULL");
      clock.advance(1_000);
      expect(await publish({ bytes: TOTAL_BYTES })).toBe("accepted");
      const [one] = await store.broker.publish([draft("eve", { bytes: 1 })]);
      expect(one).toMatchObject({ state: "failed", error: { code: "STORE_FULL" } });
    } finally {
      await store.close();
    }
  };
  await fc.assert(fc.asyncProperty(journals, fc.constantFrom(4, 10_000), fc.array(timed, { minLength: 8, maxLength: 40 }), run), {
    numRuns: 100,
  });
});

/** How many rows a closed store has in a table. */
async function rowsOf(store: Store, table: string): Promise<number> {
  const root = open({ path: store.path, noSubdir: false, maxDbs: 12 });
  try {
    return root.openDB({ name: table }).getCount();
  } finally {
    await root.close();
  }
}

const numbered = (count: number, fields: Partial<Draft> = {}): readonly Draft[] =>
  Array.from({ length: count }, (_, index) => draft("ana", { content: String(index + 1), ...fields }));

it.each([false, true])(
  "moves a long mailbox in several steps, and shows all of it at each (purged before: %s)",
  async (isPurged) => {
    const store = new Store({ maxJournalBytes: 1_000 });
    await store.reopen();
    if (isPurged) {
      await store.broker.publish(numbered(40));
      await store.broker.publish(numbered(1));
      await store.broker.purge("ana");
    }
    const drafts = numbered(500);
    await store.broker.publish(drafts);
    for (let step = 0; step < 12; step += 1) {
      await store.broker.publish([draft("bo")]);
      const { entries } = await store.broker.read("ana", 0, 1_000);
      expect(texts(entries)).toEqual(texts(drafts));
      if (step % 3 === 0) await store.reopen();
    }
    await store.close();
    expect(await rowsOf(store, "entries")).toBeGreaterThanOrEqual(500);
  },
);

it("leaves nothing in the tables of what was dropped or purged", async () => {
  const store = new Store({ maxJournalBytes: 1, maxMailboxMessages: 10 });
  await store.reopen();
  for (let round = 0; round < 20; round += 1) await store.broker.publish(numbered(7));
  await store.broker.publish([draft("bo")]);
  await store.close();
  const counts = [await rowsOf(store, "entries"), await rowsOf(store, "expiries")];
  expect(Math.max(...counts)).toBeLessThanOrEqual(10);
  await store.reopen();
  await store.broker.purge("ana");
  await store.broker.publish([draft("bo")]);
  await store.close();
  expect(await rowsOf(store, "entries")).toBe(1);
  expect(await rowsOf(store, "mailboxes")).toBe(1);
});

it("leaves nothing of what was dropped while a long mailbox was moved for the first time", async () => {
  const store = new Store({ maxJournalBytes: 1_000, maxMailboxMessages: 1_000 });
  await store.reopen();
  await store.broker.publish(numbered(1_000));
  await store.broker.publish([draft("bo")]);
  await store.broker.publish(numbered(100));
  for (let step = 0; step < 20; step += 1) await store.broker.publish([draft("bo")]);
  await store.close();
  expect(await rowsOf(store, "entries")).toBeGreaterThanOrEqual(1_000);
  expect(await rowsOf(store, "entries")).toBeLessThanOrEqual(1_000 + 21);
});

it("keeps no more of its journal than it needs", async () => {
  const store = new Store({ maxJournalBytes: 2_000 });
  await store.reopen();
  for (let round = 0; round < 200; round += 1) await store.broker.publish([draft(`user ${round % 7}`)]);
  await store.close();
  // A message is about 150 bytes, so that some 15 fill it, and two rounds are kept at most.
  expect(await rowsOf(store, "journal")).toBeLessThan(50);
});

it("frees what a short life took although what came before lives longer", async () => {
  const clock = new ManualClock();
  const store = new Store({ clock, maxJournalBytes: 1, maxTotalBytes: 100 });
  await store.reopen();
  await store.broker.publish([draft("ana", { bytes: 40 }), draft("ana", { bytes: 40, ttlMs: 1_000 })]);
  await store.broker.publish([draft("bo", { bytes: 1 })]);
  clock.advance(1_001);
  expect(await store.broker.publish([draft("bo", { bytes: 50 })])).toMatchObject([{ state: "accepted" }]);
  await store.close();
});
