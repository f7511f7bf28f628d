import { EVENTS } from "@usercast/protocol";
import { expect, test, vi } from "vitest";
import { memory } from "../src/broker/memory.ts";
import { ManualClock } from "../src/testing/manual-clock.ts";
import { start, wire } from "./harness.ts";

test("a trace says who had the message when, and who did not", async () => {
  const { users, url } = await start({ cursorIntervalMs: 0 });
  await users.to("ana").idempotencyKey("k1").emit("order", { id: 1 });
  expect(await users.trace("ana", 1)).toMatchObject({ state: "waiting", devices: [], accepted: { event: "order", key: "k1" } });
  const phone = await wire(url, "ana");
  const laptop = await wire(url, "ana", { device: "laptop" });
  await vi.waitFor(() => expect(laptop.messages).toHaveLength(1));
  expect(await users.trace("ana", 1)).toMatchObject({
    state: "pushed",
    devices: [
      { device: "phone", connected: true, state: "pushed", pushes: [{ socketId: phone.socket.id, at: expect.any(Number) }] },
      { device: "laptop", connected: true, state: "pushed" },
    ],
  });
  await phone.socket.emitWithAck(EVENTS.ack, 1);
  laptop.socket.disconnect();
  await vi.waitFor(async () => {
    expect(await users.trace("ana", 1)).toMatchObject({
      userId: "ana",
      head: 1,
      offset: 1,
      state: "delivered",
      devices: expect.arrayContaining([
        expect.objectContaining({ device: "phone", state: "delivered", deliveredAt: expect.any(Number) }),
        expect.objectContaining({ device: "laptop", connected: false, state: "pushed" }),
      ]),
      summary: expect.stringMatching(/^A device has confirmed it\. .*laptop: pushed, not connected/),
    });
  });
  await phone.socket.emitWithAck(EVENTS.read, 1);
  await vi.waitFor(async () => expect((await users.trace("ana", 1)).state).toBe("read"));
});

test("a trace tells expired, trimmed and unknown messages, and devices that were not addressed, from others", async () => {
  const clock = new ManualClock();
  const broker = memory({ quiet: true, clock, maxMailboxMessages: 3 });
  const { users, url } = await start({ broker, clock });
  await users.to("ana").send("trimmed");
  await users.to("ana").ttl(1_000).send("expires");
  await users.to("ana").device("phone").send("for the phone");
  await users.to("ana").send("last");
  clock.advance(2_000);
  const states = async (): Promise<string[]> =>
    Promise.all([1, 2, 3, 4, 5].map(async (offset) => (await users.trace("ana", offset)).state));
  expect(await states()).toEqual(["trimmed", "expired", "waiting", "waiting", "unknown"]);
  const laptop = await wire(url, "ana", { device: "laptop" });
  await vi.waitFor(() => expect(laptop.messages).toHaveLength(1));
  await laptop.socket.emitWithAck(EVENTS.ack, 4);
  expect((await users.trace("ana", 3)).devices).toMatchObject([
    { device: "phone", state: "waiting" },
    { device: "laptop", state: "not-addressed" },
  ]);
  for (const offset of [0, -1, 1.5, Number.NaN, "1"]) {
    await expect(users.trace("ana", offset as number)).rejects.toMatchObject({ code: "INVALID_POSITION" });
  }
  await expect(users.trace("", 1)).rejects.toMatchObject({ code: "INVALID_USER_ID" });
});

test("only the latest pushes are remembered", async () => {
  const { users, url } = await start({ maxTracedPushes: 2 });
  const phone = await wire(url, "ana");
  for (let i = 1; i <= 3; i += 1) await users.to("ana").send(i);
  await vi.waitFor(() => expect(phone.messages).toHaveLength(3));
  const pushes = await Promise.all([1, 2, 3].map(async (offset) => (await users.trace("ana", offset)).devices[0]?.pushes.length));
  expect(pushes).toEqual([0, 1, 1]);
});

test("what had to be done without is counted", async () => {
  const clock = new ManualClock();
  const { users, url } = await start({ broker: memory({ quiet: true, clock }) });
  await users.to("ana").ttl(1_000).send("expires");
  clock.advance(2_000);
  await wire(url, "ana");
  await wire(url, "ana", { device: "laptop", position: { epoch: "old", offset: 5, at: 5 } });
  await vi.waitFor(async () =>
    expect(await users.stats()).toEqual({
      users: 1,
      connections: 2,
      missed: { expired: 1, trimmed: 0, epoch: 1, rewound: 0 },
      writes: { direct: expect.any(Number), engine: expect.any(Number) },
    }),
  );
});
