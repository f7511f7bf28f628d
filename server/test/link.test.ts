import { expect, test } from "vitest";
import { SocketLink } from "../src/link.ts";
import { linkOn } from "./simulation/visit.ts";
import { Wire } from "./simulation/wire.ts";

const nothing = (): void => {};
const wire = (): Wire => new Wire(4, () => 0, { wrote: nothing, took: nothing, clientClosed: nothing, arrived: nothing });
const answer = (engine: Wire): void => {
  engine.send({ type: "pong" });
  engine.arrive();
};

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("a heartbeat under way when a socket registers to another user confirms nothing of that user's", () => {
  const engine = wire();
  const link = linkOn({ SocketLink }, engine, "/", 1_000);
  const confirmed: number[] = [];
  const listener = (mark: number) => ({ onRoom() {}, mark: () => mark, onHeartbeat: (at: number) => confirmed.push(at) });
  link.listen(listener(50), true);
  link.ping();
  link.listen(listener(3), true);
  link.ping();
  answer(engine);
  expect(confirmed).toEqual([]);
  answer(engine);
  expect(confirmed).toEqual([3]);
});

test("a link that is released while it looks for room leaves nothing on the engine connection", async () => {
  const engine = wire();
  const link = linkOn({ SocketLink }, engine, "/", 1_000);
  engine.write("x".repeat(10_000));
  link.awaitRoom();
  engine.write("still congested");
  link.release();
  await turn();
  expect(engine.leftovers).toEqual([]);
});
