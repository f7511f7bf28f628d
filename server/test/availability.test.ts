import { type Availability, EVENTS } from "@usercast/protocol";
import { expect, test, vi } from "vitest";
import { memory } from "../src/broker/memory.ts";
import type { Broker } from "../src/ports.ts";
import { plain, start, type Wire, wire } from "./harness.ts";

/** A broker whose store is said to be away, and to be back. */
function withAvailability() {
  const listeners = new Set<(isAvailable: boolean) => void>();
  const broker: Broker = Object.assign(memory({ quiet: true }), {
    onAvailability(listener: (isAvailable: boolean) => void) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  });
  const say = (isAvailable: boolean): void => {
    for (const tell of listeners) tell(isAvailable);
  };
  return { broker, listeners, say };
}

/** What a client is told from now on. */
function toldTo({ socket, ready }: Wire): readonly Availability[] {
  const told: Availability[] = [];
  socket.on(EVENTS.availability, (secret, notice: Availability) => {
    expect(secret).toBe(ready.secret);
    told.push(notice);
  });
  return told;
}

test("a client that says nothing is told once that the store is away, and once that it is back", async () => {
  const { broker, say } = withAvailability();
  const { url, users } = await start({ broker });
  const onServer: unknown[] = [];
  users.on("availability", (availability) => onServer.push(availability));
  const told = toldTo(await wire(url, "ana"));
  say(false);
  await vi.waitFor(() => expect(told).toEqual([{ available: false }]));
  say(true);
  await vi.waitFor(() => expect(told).toEqual([{ available: false }, { available: true }]));
  expect(onServer).toEqual([{ available: false }, { available: true }]);
});

test("a client without the SDK is told nothing", async () => {
  const { broker, say } = withAvailability();
  const { url, users } = await start({ broker });
  const { socket, received } = await plain(url, "ana");
  const all: unknown[] = [];
  socket.onAny((event) => all.push(event));
  say(false);
  say(true);
  await users.to("ana").emit("message", "hi");
  await vi.waitFor(() => expect(received).toEqual(["hi"]));
  expect(all).toEqual(["message"]);
});

test("of many, everybody ends with what is true, and who was not told the one is not told the other", async () => {
  const { broker, say } = withAvailability();
  const { url } = await start({ broker, maxConnectionsPerUser: 1_000 });
  const wires = await Promise.all(Array.from({ length: 600 }, (_, i) => wire(url, "ana", { device: `d${i}`, session: `s${i}` })));
  const told = wires.map(toldTo);
  // Some are told in this turn of the loop, and the others' turn comes when it is over.
  say(false);
  say(true);
  const allEndWith = (available: boolean) =>
    vi.waitFor(() => expect(told.every((one) => one.at(-1)?.available === available)).toBe(true));
  await vi.waitFor(() => expect(told.filter((one) => one.length === 2).length).toBeGreaterThan(0));
  expect(told.filter((one) => one.length === 0).length).toBeGreaterThan(0);
  say(false);
  await allEndWith(false);
  say(true);
  await allEndWith(true);
  for (const one of told) {
    const pair = [{ available: false }, { available: true }];
    expect(one).toEqual(Array.from({ length: one.length / 2 }, () => pair).flat());
  }
});

test("nobody is told after the end", async () => {
  const { broker, listeners, say } = withAvailability();
  const { url, users } = await start({ broker });
  const ana = await wire(url, "ana");
  const told = toldTo(ana);
  await users.close();
  say(false);
  expect(listeners.size).toBe(0);
  ana.socket.emit("echo");
  await vi.waitFor(() => expect(ana.closing).toHaveLength(1));
  expect(told).toEqual([]);
});
