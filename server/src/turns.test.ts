import { expect, test } from "vitest";
import { Turns } from "./turns.ts";

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("so many go at once, and the others in later turns, in the order they came", async () => {
  const turns = new Turns(2);
  const gone: number[] = [];
  const go = async (name: number): Promise<void> => {
    await turns.take();
    gone.push(name);
  };
  for (let name = 1; name <= 5; name += 1) void go(name);
  await Promise.resolve();
  expect(gone).toEqual([1, 2]);
  await turn();
  expect(gone).toEqual([1, 2, 3, 4]);
  await turn();
  expect(gone).toEqual([1, 2, 3, 4, 5]);
});

test("who comes while others wait does not overtake them", async () => {
  const turns = new Turns(1);
  const gone: string[] = [];
  const again = async (name: string, times: number): Promise<void> => {
    for (let i = 0; i < times; i += 1) {
      await turns.take();
      gone.push(name);
    }
  };
  void again("crowd", 3);
  void again("late", 1);
  for (let i = 0; i < 5; i += 1) await turn();
  expect(gone).toEqual(["crowd", "late", "crowd", "crowd"]);
});
