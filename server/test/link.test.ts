import { expect, test } from "vitest";
import { FakeEngine, linkOn } from "./random/engine.ts";

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("a heartbeat under way when a socket registers to another user confirms nothing of that user's", () => {
  const engine = new FakeEngine(4, () => undefined);
  const link = linkOn(engine, "/", 1_000);
  const confirmed: number[] = [];
  const listener = (mark: number) => ({ onRoom() {}, mark: () => mark, onHeartbeat: (at: number) => confirmed.push(at) });
  link.listen(listener(50), true);
  link.ping();
  link.listen(listener(3), true);
  link.ping();
  engine.arrives("pong");
  expect(confirmed).toEqual([]);
  engine.arrives("pong");
  expect(confirmed).toEqual([3]);
});

test("a link that is released while it looks for room leaves nothing on the engine connection", async () => {
  const engine = new FakeEngine(4, () => undefined);
  const link = linkOn(engine, "/", 1_000);
  engine.write("x".repeat(10_000));
  link.awaitRoom();
  engine.write("still congested");
  link.release();
  await turn();
  expect(engine.leftovers).toEqual([]);
});
