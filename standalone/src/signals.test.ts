import { EventEmitter } from "node:events";
import { pino } from "pino";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { stopOnSignal } from "./signals.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** A process that hears signals and notes how it was to exit, with a server whose stop is `stop`. */
function start(stop: () => Promise<void>): { readonly signals: EventEmitter; readonly exits: number[] } {
  const exits: number[] = [];
  const signals = new EventEmitter();
  const target = Object.assign(signals, { exit: (code: number) => void exits.push(code) });
  stopOnSignal({ stop }, 10_000, pino({ level: "silent" }), target);
  return { signals, exits };
}

const never = (): Promise<void> => new Promise(() => {});

test.each(["SIGTERM", "SIGINT"])("%s stops in order", async (signal) => {
  const { signals, exits } = start(async () => {});
  signals.emit(signal);
  await vi.advanceTimersByTimeAsync(0);
  expect(exits).toEqual([0]);
});

test("a stop that fails says so by its exit code", async () => {
  const { signals, exits } = start(() => Promise.reject(new Error("disk full")));
  signals.emit("SIGTERM");
  await vi.advanceTimersByTimeAsync(0);
  expect(exits).toEqual([1]);
});

test("a stop that hangs ends at its bound", async () => {
  const { signals, exits } = start(never);
  signals.emit("SIGTERM");
  await vi.advanceTimersByTimeAsync(9_999);
  expect(exits).toEqual([]);
  await vi.advanceTimersByTimeAsync(1);
  expect(exits).toEqual([1]);
});

test("a signal repeated at once is the same wish; one repeated later is impatience", async () => {
  const { signals, exits } = start(never);
  signals.emit("SIGINT");
  signals.emit("SIGINT");
  await vi.advanceTimersByTimeAsync(1_000);
  expect(exits).toEqual([]);
  await vi.advanceTimersByTimeAsync(1);
  signals.emit("SIGTERM");
  expect(exits).toEqual([1]);
});
