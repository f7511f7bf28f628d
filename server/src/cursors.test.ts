import { beforeEach, expect, test, vi } from "vitest";
import { CursorWriter } from "./cursors.ts";
import type { Broker, CursorMove } from "./ports.ts";
import { ManualClock } from "./testing/manual-clock.ts";

let clock: ManualClock;
let written: string[];
let moves: CursorMove[];
/** What the store answers to the next writes; nothing means success. */
let failures: Error[];
let errors: unknown[];

const writer = (maxWaiting = 100): CursorWriter => {
  const advance: Broker["advance"] = async (userId, device, epoch, move) => {
    const { delivered } = move;
    const failure = failures.shift();
    if (failure !== undefined) throw failure;
    moves.push(move);
    written.push(`${userId}/${device}/${epoch}/${delivered}`);
  };
  const broker = { advance } as Broker;
  return new CursorWriter({ broker, clock, intervalMs: 200, maxWaiting, onError: (error) => errors.push(error) });
};

beforeEach(() => {
  clock = new ManualClock();
  written = [];
  moves = [];
  failures = [];
  errors = [];
});

test("many moves within an interval are one write, of the furthest", async () => {
  const cursors = writer();
  for (const offset of [1, 5, 3]) cursors.moved("ana", "phone", "e", { delivered: offset });
  clock.advance(199);
  expect(written).toEqual([]);
  clock.advance(1);
  await vi.waitFor(() => expect(written).toEqual(["ana/phone/e/5"]));
});

test("a flush writes one user's at once, and waits for what is being written", async () => {
  const cursors = writer();
  cursors.moved("ana", "phone", "e", { delivered: 1 });
  cursors.moved("bo", "phone", "e", { delivered: 1 });
  await Promise.all([cursors.flush("ana"), cursors.flush("ana")]);
  expect(written).toEqual(["ana/phone/e/1"]);
  await cursors.close();
  expect(written).toEqual(["ana/phone/e/1", "bo/phone/e/1"]);
  expect(clock.timers).toBe(0);
});

test("what the store refuses is reported and written at the next interval, unless something newer is", async () => {
  const cursors = writer();
  failures = [new Error("full")];
  cursors.moved("ana", "phone", "e", { delivered: 1 });
  await cursors.flush("ana");
  expect([written, errors.length]).toEqual([[], 1]);
  cursors.moved("ana", "phone", "e", { delivered: 2 });
  clock.advance(200);
  await vi.waitFor(() => expect(written).toEqual(["ana/phone/e/2"]));
});

test("what the store refused is not forgotten for another session that has come less far", async () => {
  const cursors = writer();
  failures = [new Error("full")];
  cursors.moved("ana", "phone", "e", { delivered: 5 });
  const refused = cursors.flush("ana");
  cursors.moved("ana", "phone", "e", { delivered: 3 });
  await refused;
  await cursors.flush("ana");
  expect(written).toEqual(["ana/phone/e/5"]);
});

test("of what is said of a shared device the last word counts, and who came and went does in order, also where a write failed", async () => {
  const cursors = writer();
  failures = [new Error("full")];
  const said = { holder: "here", heldMs: 1, owedMs: 1 };
  const ended = { type: "ended", number: 1, at: 3 } as const;
  const began = { type: "began", number: 3, at: 3 } as const;
  cursors.moved("ana", "plain", "e", { delivered: 3, shared: { ...said, number: 2, turns: [ended] } });
  const refused = cursors.flush("ana");
  cursors.moved("ana", "plain", "e", { delivered: 3, shared: { ...said, number: 4, floor: 3, turns: [began] } });
  cursors.moved("ana", "plain", "e", { delivered: 4, shared: { ...said, number: 5, floor: 4 } });
  await refused;
  await cursors.flush("ana");
  expect(moves).toMatchObject([{ delivered: 4, shared: { number: 5, floor: 4, turns: [ended, began] } }]);
});

test("while the store fails, no more users wait than allowed", async () => {
  const cursors = writer(2);
  for (const user of ["a", "b", "c"]) cursors.moved(user, "phone", "e", { delivered: 1 });
  await cursors.flushAll();
  expect(written).toEqual(["b/phone/e/1", "c/phone/e/1"]);
});

test("while the store fails, the pauses grow and it is reported once; when it is back, everything is written", async () => {
  const cursors = writer();
  failures = Array.from({ length: 100 }, () => new Error("full"));
  for (const user of ["ana", "bo"]) cursors.moved(user, "phone", "e", { delivered: 1 });
  const tries: number[] = [];
  for (let second = 0; second < 60; second += 1) {
    const before = failures.length;
    clock.advance(1_000);
    await new Promise(setImmediate);
    tries.push(before - failures.length);
  }
  expect(errors).toHaveLength(1);
  // 0.2, 0.4, 0.8, … seconds apart: each round tries both users.
  expect(tries.reduce((sum, count) => sum + count)).toBeLessThanOrEqual(18);
  failures = [];
  clock.advance(60_000);
  await vi.waitFor(() => expect(written).toEqual(["ana/phone/e/1", "bo/phone/e/1"]));
  await cursors.close();
});
