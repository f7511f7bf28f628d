import { beforeEach, expect, test } from "vitest";
import { FakeClock } from "../test/fake-clock.ts";
import { Confirmations } from "./confirmations.ts";

let clock: FakeClock;
let sent: number[];
let confirmations: Confirmations;

beforeEach(() => {
  clock = new FakeClock();
  sent = [];
  confirmations = new Confirmations(clock, 100, (offset) => sent.push(offset));
  confirmations.begin(10, 8);
});

test("confirmations are gathered over the interval", () => {
  confirmations.reach(11);
  confirmations.reach(12);
  expect(sent).toEqual([]);
  clock.advance(100);
  expect(sent).toEqual([12]);
});

test("half a window is confirmed at once", () => {
  confirmations.reach(13);
  confirmations.reach(14);
  expect(sent).toEqual([14]);
  clock.advance(1_000);
  expect(sent).toEqual([14]);
});

test("a window of one message never stands still", () => {
  confirmations.begin(0, 1);
  confirmations.reach(1);
  expect(sent).toEqual([1]);
});

test("what was there before the connection is not confirmed on it", () => {
  confirmations.reach(10);
  confirmations.flush();
  expect(sent).toEqual([]);
});

test("nothing is sent on a connection that is gone, and the next one begins anew", () => {
  confirmations.reach(12);
  confirmations.end();
  clock.advance(1_000);
  confirmations.reach(13);
  confirmations.flush();
  expect(sent).toEqual([]);
  confirmations.begin(10, 8);
  confirmations.reach(12);
  clock.advance(100);
  expect(sent).toEqual([12]);
});
