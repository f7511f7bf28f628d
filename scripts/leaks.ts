import { setTimeout as sleep } from "node:timers/promises";
import { afterAll } from "vitest";

// Runs before every test file: what a file starts, it must stop. A server that goes on listening would meet the next file.

const KINDS: Readonly<Record<string, string>> = { TCPServerWrap: "listening server", ProcessWrap: "child process" };
const POLLS = 40;
const POLL_MS = 50; // 2 seconds in all: closing takes a turn of the loop or a few

/** The resources that must not outlive a test file, among those that keep this process alive. */
const held = (): readonly string[] => process.getActiveResourcesInfo().filter((kind) => Object.hasOwn(KINDS, kind));

const before = held().length;

afterAll(async () => {
  for (let poll = 0; poll < POLLS && held().length > before; poll++) await sleep(POLL_MS);
  const left = held();
  if (left.length > before) {
    throw new Error(`This file left behind: ${left.map((kind) => KINDS[kind]).join(", ")}`);
  }
});
