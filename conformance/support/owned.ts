import { afterAll, beforeAll, onTestFinished } from "vitest";

/** Something that has to be ended by whoever started it. */
export interface Closable {
  close(): unknown;
}

/** Ends `thing` when the test that runs now is over, whatever became of it. */
export function owned<T extends Closable>(thing: T): T {
  onTestFinished(async () => void (await thing.close()));
  return thing;
}

/** Starts something before the tests of a file and ends it after them; the returned function gives it to a test. */
export function shared<T extends Closable>(start: () => Promise<T>): () => T {
  let thing: T | undefined;
  beforeAll(async () => {
    thing = await start();
  });
  afterAll(async () => void (await thing?.close()));
  return () => {
    if (thing === undefined) throw new Error("This is there while tests run, not before.");
    return thing;
  };
}
