import assert from "node:assert/strict";
import type { Broker } from "../../ports.ts";
import { accept, draft, type Suite } from "./harness.ts";

/** A mailbox of five messages; resolves to its epoch. */
async function fill(broker: Broker): Promise<string> {
  for (let count = 0; count < 4; count++) await accept(broker, draft("ana"));
  return (await accept(broker, draft("ana"))).epoch;
}

/** How far devices and users have come. */
export function cursorTests({ test }: Suite): void {
  test("moves a device and its user forward", async (broker) => {
    const epoch = await fill(broker);
    assert.equal((await broker.position("ana", "phone")).device, undefined);
    await broker.advance("ana", "phone", epoch, { delivered: 3 });
    await broker.advance("ana", "phone", epoch, { read: 2 });
    await broker.advance("ana", "laptop", epoch, { delivered: 1, read: 1 });
    const state = await broker.position("ana", "phone");
    assert.deepEqual(
      [state.device, state.user],
      [
        { delivered: 3, read: 2 },
        { delivered: 3, read: 2 },
      ],
    );
    assert.deepEqual((await broker.position("ana", "laptop")).device, { delivered: 1, read: 1 });
  });

  test("never moves a cursor backwards, past the head or in another epoch", async (broker) => {
    const epoch = await fill(broker);
    await broker.advance("ana", "phone", epoch, { delivered: 3, read: 2 });
    await broker.advance("ana", "phone", epoch, { delivered: 1, read: 0 });
    await broker.advance("ana", "phone", "another-epoch", { delivered: 5, read: 5 });
    assert.deepEqual((await broker.position("ana", "phone")).device, { delivered: 3, read: 2 });
    await broker.advance("ana", "phone", epoch, { delivered: 1_000, read: 1_000 });
    const { device, user } = await broker.position("ana", "phone");
    assert.deepEqual(
      [device, user],
      [
        { delivered: 5, read: 5 },
        { delivered: 5, read: 5 },
      ],
    );
  });

  test("remembers a device that has confirmed nothing yet", async (broker) => {
    const epoch = await fill(broker);
    await broker.advance("ana", "phone", epoch, { delivered: 0 });
    assert.deepEqual((await broker.position("ana", "phone")).device, { delivered: 0, read: 0 });
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
      const devices = await Promise.all(["old", "phone", "laptop", "tablet"].map((name) => broker.position("ana", name)));
      assert.deepEqual(
        devices.map(({ device }) => device?.delivered),
        [undefined, 2, undefined, 1],
      );
      assert.deepEqual(devices[0]?.user, { delivered: 5, read: 4 });
    },
    { maxDevices: 2 },
  );
}
