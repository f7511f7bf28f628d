import assert from "node:assert/strict";
import type { Broker, DeviceMove } from "../../ports.ts";
import { lowest, type SharedMove, type SharedTurn } from "../../sharing.ts";
import { accept, draft, type Suite } from "./harness.ts";

/** A mailbox of five messages; resolves to its epoch. */
async function fill(broker: Broker): Promise<string> {
  for (let count = 0; count < 4; count++) await accept(broker, draft("ana"));
  return (await accept(broker, draft("ana"))).epoch;
}

/** How far a device has come, and its user. */
async function cursorsOf(broker: Broker, device: string) {
  const { devices, user } = await broker.position("ana");
  const own = devices.get(device);
  return {
    device: own && { delivered: own.delivered, read: own.read },
    user: { delivered: user.delivered, read: user.read },
  };
}

/** Where a connection begins that shares the device `plain`, as the state says. */
async function sharedPlace(broker: Broker): Promise<number | undefined> {
  const plain = (await broker.position("ana")).devices.get("plain");
  return plain && Math.min(plain.delivered, lowest(plain.shared ?? { floors: [], debts: [] }));
}

/** What nodes say of their connections that share the device `plain`. */
function sharing(broker: Broker, epoch: string, times: { readonly heldMs?: number; readonly owedMs?: number } = {}) {
  let number = 0;
  return async (holder: string, delivered: number, said: { readonly floor?: number; readonly turns?: readonly SharedTurn[] }) => {
    const shared: SharedMove = { holder, number: ++number, heldMs: 60_000, owedMs: 60_000, ...times, ...said };
    await broker.advance("ana", "plain", epoch, { delivered, shared });
    return (await cursorsOf(broker, "plain")).device?.delivered;
  };
}

const ended = (number: number, at: number): SharedTurn => ({ type: "ended", number, at });
const began = (number: number, at: number): SharedTurn => ({ type: "began", number, at });

/** How far devices and users have come. */
export function cursorTests({ test, elapse }: Suite): void {
  test("moves a device and its user forward", async (broker) => {
    const epoch = await fill(broker);
    assert.equal((await cursorsOf(broker, "phone")).device, undefined);
    await broker.advance("ana", "phone", epoch, { delivered: 3 });
    await broker.advance("ana", "phone", epoch, { read: 2 });
    await broker.advance("ana", "laptop", epoch, { delivered: 1, read: 1 });
    const state = await cursorsOf(broker, "phone");
    assert.deepEqual(
      [state.device, state.user],
      [
        { delivered: 3, read: 2 },
        { delivered: 3, read: 2 },
      ],
    );
    assert.deepEqual((await cursorsOf(broker, "laptop")).device, { delivered: 1, read: 1 });
  });

  test("makes many moves at once as it makes each", async (broker) => {
    const { advanceAll } = broker;
    if (advanceAll === undefined) return;
    const userIds = Array.from({ length: 150 }, (_, i) => `user-${i}`);
    const moves: DeviceMove[] = [];
    for (const [i, userId] of userIds.entries()) {
      const { epoch } = await accept(broker, draft(userId));
      const from = { userId, epoch: i === 7 ? "another" : epoch };
      moves.push(
        { ...from, device: "phone", move: { delivered: 1 } },
        { ...from, device: "laptop", move: { delivered: 1, read: 1 } },
      );
    }
    await advanceAll.call(broker, moves);
    for (const [i, userId] of userIds.entries()) {
      const { devices } = await broker.position(userId);
      const places = ["phone", "laptop"].map((device) => [devices.get(device)?.delivered, devices.get(device)?.read]);
      const [phone, laptop] =
        i === 7
          ? [
              [undefined, undefined],
              [undefined, undefined],
            ]
          : [
              [1, 0],
              [1, 1],
            ];
      assert.deepEqual(places, [phone, laptop]);
    }
  });

  test("never moves a cursor backwards, past the head or in another epoch", async (broker) => {
    const epoch = await fill(broker);
    await broker.advance("ana", "phone", epoch, { delivered: 3, read: 2 });
    await broker.advance("ana", "phone", epoch, { delivered: 1, read: 0 });
    await broker.advance("ana", "phone", "another-epoch", { delivered: 5, read: 5 });
    assert.deepEqual((await cursorsOf(broker, "phone")).device, { delivered: 3, read: 2 });
    await broker.advance("ana", "phone", epoch, { delivered: 1_000, read: 1_000 });
    const { device, user } = await cursorsOf(broker, "phone");
    assert.deepEqual(
      [device, user],
      [
        { delivered: 5, read: 5 },
        { delivered: 5, read: 5 },
      ],
    );
  });

  test("refuses a move of a log that is gone, by a message that its device was given", async (broker) => {
    const epoch = await fill(broker);
    const { at } = await accept(broker, draft("ana"));
    await broker.advance("ana", "phone", epoch, { delivered: 2, witness: { offset: 6, at } });
    for (const witness of [
      { offset: 6, at: at - 1 },
      { offset: 3, at },
      { offset: 7, at: at + 1 },
    ]) {
      await broker.advance("ana", "phone", epoch, { delivered: 6, read: 6, witness });
    }
    assert.deepEqual(await cursorsOf(broker, "phone"), {
      device: { delivered: 2, read: 0 },
      user: { delivered: 2, read: 0 },
    });
  });

  test("remembers a device that has confirmed nothing yet", async (broker) => {
    const epoch = await fill(broker);
    await broker.advance("ana", "phone", epoch, { delivered: 0 });
    assert.deepEqual((await cursorsOf(broker, "phone")).device, { delivered: 0, read: 0 });
  });

  test(
    "forgets the device that moved least recently, but not how far the user came",
    async (broker) => {
      const epoch = await fill(broker);
      await broker.advance("ana", "old", epoch, { delivered: 5, read: 4 });
      await broker.advance("ana", "phone", epoch, { delivered: 1 });
      await broker.advance("ana", "laptop", epoch, { delivered: 1 });
      await broker.advance("ana", "phone", epoch, { delivered: 2 });
      await broker.advance("ana", "tablet", epoch, { delivered: 1 });
      const devices = await Promise.all(["old", "phone", "laptop", "tablet"].map((name) => cursorsOf(broker, name)));
      assert.deepEqual(
        devices.map(({ device }) => device?.delivered),
        [undefined, 2, undefined, 1],
      );
      assert.deepEqual(devices[0]?.user, { delivered: 5, read: 4 });
    },
    { maxDevices: 2 },
  );

  test(
    "forgets those first whose id could not be kept, and never the one that moves",
    async (broker) => {
      const epoch = await fill(broker);
      await broker.advance("ana", "phone", epoch, { delivered: 1 });
      await broker.advance("ana", "page-1", epoch, { delivered: 1, transient: true });
      await broker.advance("ana", "page-2", epoch, { delivered: 1, transient: true });
      await broker.advance("ana", "page-3", epoch, { delivered: 1, transient: true });
      assert.deepEqual([...(await broker.position("ana")).devices.keys()].sort(), ["page-3", "phone"]);
      await broker.advance("ana", "laptop", epoch, { delivered: 1 });
      await broker.advance("ana", "page-4", epoch, { delivered: 1, transient: true });
      assert.deepEqual([...(await broker.position("ana")).devices.keys()].sort(), ["laptop", "page-4"]);
    },
    { maxDevices: 2 },
  );

  test(
    "forgets a device that was not seen for long, and not one that comes by without anything new",
    async (broker) => {
      const epoch = await fill(broker);
      await broker.advance("ana", "old", epoch, { delivered: 4, read: 3 });
      await broker.advance("ana", "phone", epoch, { delivered: 5 });
      for (let times = 0; times < 4; times++) {
        await elapse(300);
        await broker.advance("ana", "phone", epoch, { delivered: 5 });
      }
      assert.deepEqual((await cursorsOf(broker, "old")).device, undefined);
      assert.deepEqual(await cursorsOf(broker, "phone"), {
        device: { delivered: 5, read: 0 },
        user: { delivered: 5, read: 3 },
      });
    },
    { deviceIdleMs: 900 },
  );

  test("knows a device that a message was only for before it ever came, and forgets it first", async (broker) => {
    const epoch = await fill(broker);
    await broker.advance("ana", "laptop", epoch, { delivered: 4 });
    await accept(broker, draft("ana", { devices: { only: "phone" } }));
    await broker.advance("ana", "laptop", epoch, { delivered: 6 });
    const phone = (await broker.position("ana")).devices.get("phone");
    assert.deepEqual([phone?.delivered, phone?.transient, phone?.deliveredAt], [4, true, 0]);
    // That it came is known also where it has confirmed nothing.
    await broker.advance("ana", "phone", epoch, { delivered: 4, transient: false });
    assert.ok(((await broker.position("ana")).devices.get("phone")?.deliveredAt ?? 0) > 0);
    await broker.advance("ana", "phone", epoch, { delivered: 6, transient: false });
    await accept(broker, draft("ana", { devices: { only: "phone" } }));
    assert.deepEqual((await cursorsOf(broker, "phone")).device?.delivered, 6);
  });

  test("says when each device moved last, and by which of its cursors", async (broker) => {
    const epoch = await fill(broker);
    await broker.advance("ana", "phone", epoch, { delivered: 3 });
    await elapse(1_000);
    await broker.advance("ana", "phone", epoch, { read: 2 });
    const phone = (await broker.position("ana")).devices.get("phone");
    assert.ok(phone && phone.readAt >= phone.deliveredAt + 1_000);
    assert.equal(phone.seenAt, phone.readAt);
  });

  test("keeps what every device passed as missed, until one was given it after all", async (broker) => {
    const epoch = await fill(broker);
    await broker.advance("ana", "phone", epoch, { delivered: 0 });
    await broker.advance("ana", "laptop", epoch, { delivered: 0 });
    await broker.advance("ana", "phone", epoch, { delivered: 4, missed: [{ first: 2, last: 3 }] });
    assert.deepEqual((await broker.position("ana")).user.missed, [{ first: 2, last: 3 }]);
    await broker.advance("ana", "laptop", epoch, { delivered: 5, missed: [{ first: 3, last: 3 }] });
    assert.deepEqual((await broker.position("ana")).user.missed, [{ first: 3, last: 3 }]);
    // One that passes it as missed takes nothing from those who had it before.
    await broker.advance("ana", "tablet", epoch, { delivered: 0 });
    await broker.advance("ana", "tablet", epoch, { delivered: 5, missed: [{ first: 1, last: 5 }] });
    assert.deepEqual((await broker.position("ana")).user.missed, [{ first: 3, last: 3 }]);
  });

  test("keeps what was passed because it is for all but one, until another passes it", async (broker) => {
    const epoch = await fill(broker);
    await broker.advance("ana", "phone", epoch, { delivered: 0 });
    await broker.advance("ana", "phone", epoch, {
      delivered: 4,
      skipped: [{ first: 2, last: 3 }],
      missed: [{ first: 4, last: 4 }],
    });
    await broker.advance("ana", "laptop", epoch, { delivered: 2 });
    const { user } = await broker.position("ana");
    assert.deepEqual([user.skipped, user.missed], [[{ first: 2, last: 3 }], [{ first: 4, last: 4 }]]);
    await broker.advance("ana", "laptop", epoch, {
      delivered: 5,
      skipped: [{ first: 5, last: 5 }],
      missed: [{ first: 3, last: 3 }],
    });
    const after = (await broker.position("ana")).user;
    assert.deepEqual(
      [after.skipped, after.missed],
      [
        [
          { first: 2, last: 3 },
          { first: 5, last: 5 },
        ],
        [],
      ],
    );
  });

  test("keeps what was read without being shown", async (broker) => {
    const epoch = await fill(broker);
    await broker.advance("ana", "phone", epoch, { delivered: 5, read: 1 });
    await broker.advance("ana", "phone", epoch, { read: 3, unshown: true });
    await broker.advance("ana", "laptop", epoch, { read: 5 });
    const { user } = await broker.position("ana");
    assert.deepEqual([user.read, user.unshown], [5, [{ first: 2, last: 3 }]]);
  });

  test("does not move a shared cursor past what connections at another node have not confirmed", async (broker) => {
    const epoch = await fill(broker);
    const say = sharing(broker, epoch);
    assert.equal(await say("one", 0, { floor: 0 }), 0);
    assert.equal(await say("two", 5, { floor: 5 }), 0);
    assert.equal(await sharedPlace(broker), 0);
    assert.equal((await broker.position("ana")).user.delivered, 0);
    assert.equal(await say("one", 3, { floor: 3 }), 3);
    // What one node says late changes nothing.
    const late = { holder: "one", number: 1, floor: 0, heldMs: 60_000, owedMs: 60_000 };
    await broker.advance("ana", "plain", epoch, { delivered: 0, shared: late });
    assert.equal(await sharedPlace(broker), 3);
    assert.equal(await say("one", 3, {}), 3);
    assert.equal(await say("two", 5, { floor: 5 }), 5);
  });

  test("keeps for each connection that ended what it is owed, until one begins there, at whichever node", async (broker) => {
    const epoch = await fill(broker);
    const say = sharing(broker, epoch);
    await say("one", 1, { floor: 1 });
    await say("one", 1, { turns: [ended(2, 1), ended(3, 2), ended(4, 5)] });
    assert.equal(await say("two", 5, { floor: 5 }), 1);
    assert.equal(await sharedPlace(broker), 1);
    assert.equal(await say("two", 5, { floor: 5, turns: [began(5, 1)] }), 1);
    assert.equal(await sharedPlace(broker), 1);
    assert.equal(await say("two", 5, { floor: 5, turns: [began(6, 1)] }), 5);
    assert.equal(await sharedPlace(broker), 5);
  });

  test("gives up what a shared cursor waits for in time: a node that is silent, and debts while others are there", async (broker) => {
    const epoch = await fill(broker);
    const say = sharing(broker, epoch, { heldMs: 300, owedMs: 300 });
    await say("silent", 1, { floor: 1 });
    await elapse(400);
    assert.equal(await say("two", 3, { floor: 3 }), 1);
    await elapse(400);
    assert.equal(await say("two", 4, { floor: 4 }), 4);
    await say("two", 4, { turns: [ended(4, 4)] });
    await elapse(400);
    assert.equal(await sharedPlace(broker), 4);
    assert.equal(await say("three", 5, { floor: 5 }), 4);
    await elapse(400);
    assert.equal(await say("three", 5, { floor: 5 }), 5);
  });

  test("names nothing as missed that a shared cursor has not come to", async (broker) => {
    const epoch = await fill(broker);
    const say = sharing(broker, epoch);
    await say("one", 0, { floor: 0 });
    await say("two", 0, { floor: 0 });
    const shared = { holder: "one", number: 10, floor: 5, heldMs: 60_000, owedMs: 60_000 };
    const missed = [{ first: 1, last: 4 }];
    await broker.advance("ana", "plain", epoch, { delivered: 5, missed, shared });
    assert.deepEqual((await broker.position("ana")).user.missed, []);
    await broker.advance("ana", "plain", epoch, { delivered: 2, missed, shared: { ...shared, holder: "two", floor: 2 } });
    const { user } = await broker.position("ana");
    assert.deepEqual([user.delivered, user.missed], [2, [{ first: 1, last: 2 }]]);
  });

  test("counts nothing as given that a shared cursor has not come to", async (broker) => {
    const epoch = await fill(broker);
    await broker.advance("ana", "laptop", epoch, { delivered: 0 });
    await broker.advance("ana", "laptop", epoch, { delivered: 5, missed: [{ first: 3, last: 3 }] });
    const say = sharing(broker, epoch);
    await say("one", 0, { floor: 0 });
    await say("two", 1, { floor: 1 });
    const shared = { holder: "one", number: 10, floor: 5, heldMs: 60_000, owedMs: 60_000 };
    await broker.advance("ana", "plain", epoch, { delivered: 5, missed: [{ first: 5, last: 5 }], shared });
    assert.deepEqual((await broker.position("ana")).user.missed, [{ first: 3, last: 3 }]);
  });

  test("bounds what it keeps of them", async (broker) => {
    await broker.publish(Array.from({ length: 400 }, () => draft("ana")));
    const { epoch } = await broker.position("ana");
    await broker.advance("ana", "phone", epoch, { delivered: 0 });
    for (let offset = 2; offset <= 400; offset += 2) {
      const range = [{ first: offset, last: offset }];
      await broker.advance("ana", "phone", epoch, { delivered: offset, missed: range });
    }
    const { missed } = (await broker.position("ana")).user;
    assert.ok(missed.length <= 64, `${missed.length} ranges`);
    // Joined at their old end: too little is told to senders, never too much.
    for (let offset = 2; offset <= 400; offset += 2) {
      assert.ok(
        missed.some(({ first, last }) => first <= offset && offset <= last),
        `${offset} counts as delivered`,
      );
    }
  });
}
