import { expect, it } from "vitest";
import { Writer } from "./writer.ts";

/** A disk whose commits end when the test says so. */
function disk() {
  const commits: { readonly written: string[]; readonly end: (error?: Error) => void }[] = [];
  const writer = new Writer<string[]>(async (applyAll) => {
    await Promise.resolve();
    const written: string[] = [];
    const value = applyAll(written);
    await new Promise<void>((resolve, reject) => {
      commits.push({ written, end: (error) => (error ? reject(error) : resolve()) });
    });
    return value;
  }, 4);
  const told: string[] = [];
  const write = (name: string, bytes = 0): Promise<string> => {
    const apply = (written: string[]) => {
      written.push(name);
      return name;
    };
    return writer.write({ bytes, apply, committed: (value) => told.push(value) });
  };
  const nextCommit = (count: number) => expect.poll(() => commits.length).toBe(count);
  return { writer, write, commits, told, nextCommit };
}

it("gathers what comes while it commits, and tells of nothing before it is on disk", async () => {
  const { writer, write, commits, told, nextCommit } = disk();
  const first = write("a");
  await nextCommit(1);
  const rest = [write("b"), write("c")];
  expect(commits[0]?.written).toEqual(["a"]);
  expect(told).toEqual([]);
  commits[0]?.end();
  await first;
  await nextCommit(2);
  expect([commits[1]?.written, told]).toEqual([["b", "c"], ["a"]]);
  commits[1]?.end();
  expect(await Promise.all(rest)).toEqual(["b", "c"]);
  await writer.idle();
  expect(told).toEqual(["a", "b", "c"]);
});

it("fails a batch with those that waited behind it, and goes on", async () => {
  const { write, commits, told, nextCommit } = disk();
  const failing = [write("a"), write("b")];
  await nextCommit(1);
  failing.push(write("c"));
  commits[0]?.end(new Error("no space left"));
  for (const one of await Promise.allSettled(failing)) {
    expect(one).toMatchObject({ status: "rejected", reason: { code: "STORE_FAILED", cause: { message: "no space left" } } });
  }
  const later = write("d");
  await nextCommit(2);
  commits[1]?.end();
  expect([await later, told]).toEqual(["d", ["d"]]);
});

it("bounds what waits", async () => {
  const { write, commits, nextCommit } = disk();
  const waiting = [write("a"), write("b"), write("c"), write("d")];
  await expect(write("e")).rejects.toMatchObject({ code: "OVERLOADED" });
  await nextCommit(1);
  commits[0]?.end();
  await Promise.all(waiting);
});

it("bounds what one commit takes", async () => {
  const { write, commits, nextCommit } = disk();
  const large = [write("a", 3_000_000), write("b", 3_000_000), write("c", 3_000_000)];
  await nextCommit(1);
  expect(commits[0]?.written).toEqual(["a", "b"]);
  commits[0]?.end();
  await nextCommit(2);
  commits[1]?.end();
  await Promise.all(large);
});
