import { afterEach, beforeEach, expect, test } from "vitest";
import { memory } from "./broker/memory.ts";
import type { Followed } from "./follower.ts";
import type { Broker, CursorMove } from "./ports.ts";
import { Receipts } from "./receipts.ts";
import { ManualClock } from "./testing/manual-clock.ts";

let broker: Broker;
let receipts: Receipts;
let told: string[];
let subscriptions: number;
let epoch: string;

beforeEach(async () => {
  const clock = new ManualClock();
  broker = memory({ quiet: true, clock });
  told = [];
  subscriptions = 0;
  const counted: Broker["subscribe"] = async (...args) => {
    subscriptions += 1;
    const end = await broker.subscribe(...args);
    return async () => {
      subscriptions -= 1;
      await end();
    };
  };
  const observed = new Proxy(broker, {
    get: (target, name: keyof Broker) => (name === "subscribe" ? counted : (target[name] as () => unknown).bind(target)),
  });
  receipts = new Receipts({ broker: observed, maxPending: 3, onError: (error) => told.push(`error ${String(error)}`) });
  for (let i = 1; i <= 9; i += 1) {
    const [result] = await broker.publish([{ id: `d${i}`, userId: "bo", text: `"message",${i}`, bytes: 11, ttlMs: 60_000 }]);
    if (result?.state === "accepted") epoch = result.epoch;
  }
});
afterEach(async () => {
  await receipts.close();
  await broker.close();
});

const followed = (offset: number, fields: Partial<Followed> = {}): Followed => ({
  recipient: "bo",
  epoch,
  offset,
  until: "read",
  onPassage: (state, { device = "?" }) => told.push(`${offset} ${state} ${device}`),
  onEnd: (error) => told.push(`${offset} ended ${(error as { code: string }).code}`),
  ...fields,
});

const move = (device: string, to: CursorMove): Promise<void> => broker.advance("bo", device, epoch, to);

test("the first device that confirms and the first that reads are told, once and in order", async () => {
  await receipts.follow(followed(2));
  await move("phone", { delivered: 1 });
  expect(told).toEqual([]);
  await move("phone", { delivered: 5 });
  await move("laptop", { delivered: 5, read: 1 });
  expect(told).toEqual(["2 delivered phone"]);
  await move("laptop", { read: 3 });
  await move("phone", { read: 3 });
  expect(told).toEqual(["2 delivered phone", "2 read laptop"]);
  await expect.poll(() => subscriptions).toBe(0);
});

test("what has happened before anybody followed is told at once", async () => {
  await move("phone", { delivered: 5, read: 4 });
  await receipts.follow(followed(4));
  await receipts.follow(followed(5, { until: "delivered" }));
  expect(told).toEqual(["4 delivered phone", "4 read phone", "5 delivered phone"]);
});

test("a message that was read before it was confirmed is told in order", async () => {
  await receipts.follow(followed(4));
  await move("phone", { delivered: 1 });
  await move("phone", { read: 4 });
  expect(told).toEqual([]);
  await move("phone", { delivered: 4 });
  expect(told).toEqual(["4 delivered phone", "4 read phone"]);
});

test("what a device passed as missed is not delivered, until another was given it", async () => {
  await move("phone", { delivered: 0 });
  await move("laptop", { delivered: 0 });
  await receipts.follow(followed(4));
  await move("phone", { delivered: 9, read: 9, missed: [{ first: 3, last: 4 }] });
  await receipts.follow(followed(3, { until: "delivered" }));
  await move("tablet", { delivered: 9 });
  expect(told).toEqual([]);
  await move("laptop", { delivered: 5 });
  // Who reads up to there has read it as well, once it is there at all.
  expect(told.sort()).toEqual(["3 delivered laptop", "4 delivered laptop", "4 read phone"]);
});

test("what is read without being shown is not told, by nobody and never", async () => {
  await receipts.follow(followed(4));
  await move("phone", { delivered: 9, read: 5, unshown: true });
  await move("laptop", { read: 9 });
  await receipts.follow(followed(4, { follower: "again" }));
  expect(told).toEqual(["4 delivered phone", "4 delivered phone"]);
});

test("a message for some devices counts for these only", async () => {
  await move("phone", { delivered: 0 });
  await receipts.follow(followed(4, { devices: { only: "phone" } }));
  await receipts.follow(followed(5, { devices: { except: "phone" }, until: "delivered" }));
  await move("laptop", { delivered: 4, read: 4 });
  await move("phone", { delivered: 9 });
  expect(told).toEqual(["4 delivered phone"]);
  await move("phone", { read: 9 });
  await move("laptop", { delivered: 9 });
  expect(told).toEqual(["4 delivered phone", "4 read phone", "5 delivered laptop"]);
});

test("the same message is followed once for the same sender, and apart for others", async () => {
  await receipts.follow(followed(4, { follower: "ana k1" }));
  await receipts.follow(followed(4, { follower: "ana k1" }));
  await receipts.follow(followed(4, { follower: "cy k1", until: "delivered" }));
  await move("phone", { delivered: 4 });
  await receipts.follow(followed(4, { follower: "ana k1" }));
  await move("phone", { read: 4 });
  expect(told.sort()).toEqual(["4 delivered phone", "4 delivered phone", "4 read phone"]);
});

test("one that is over takes nothing from another that is not", async () => {
  await receipts.follow(followed(3, { until: "delivered" }));
  await receipts.follow(followed(4));
  await move("phone", { delivered: 4 });
  await move("phone", { read: 4 });
  expect(told).toEqual(["3 delivered phone", "4 delivered phone", "4 read phone"]);
});

test("no more is followed than allowed, and what somebody waits for is not given up for it", async () => {
  const stop = await receipts.await(followed(1, { onPassage: (state) => told.push(`wait ${state}`) }));
  for (const offset of [2, 3, 4]) await receipts.follow(followed(offset, { until: "delivered" }));
  await receipts.follow(followed(5, { until: "delivered" }));
  await move("phone", { delivered: 9 });
  expect(told).toEqual(["wait delivered", "5 delivered phone"]);
  stop();
  await expect.poll(() => subscriptions).toBe(0);
  for (const offset of [1, 2, 3]) await receipts.await(followed(offset, { epoch, until: "read" }));
  await expect(receipts.await(followed(4))).rejects.toMatchObject({ code: "OVERLOADED" });
});

test("a purge ends what was followed of the life before", async () => {
  await receipts.await(followed(4));
  await broker.purge("bo");
  await expect.poll(() => told).toEqual(["4 ended MESSAGE_GONE"]);
  await expect.poll(() => subscriptions).toBe(0);
});

test("closing tells those who wait, and follows nothing any more", async () => {
  await receipts.await(followed(4));
  await receipts.close();
  expect(told).toEqual(["4 ended SERVER_CLOSED"]);
  await receipts.follow(followed(5));
  await expect(receipts.await(followed(5))).rejects.toMatchObject({ code: "SERVER_CLOSED" });
  expect(subscriptions).toBe(0);
});
