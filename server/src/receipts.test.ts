import { expect, test } from "vitest";
import { systemClock } from "./clock.ts";
import { Hub } from "./hub.ts";
import type { Broker } from "./ports.ts";
import { Receipts } from "./receipts.ts";

test("a send that is accepted while the server detaches is not followed", async () => {
  const asked: string[] = [];
  const subscribe: Broker["subscribe"] = async (userId) => {
    asked.push(userId);
    return async () => {};
  };
  const broker = { subscribe } as Broker;
  const receipts = new Receipts({
    broker,
    hub: new Hub({ clock: systemClock, owedMs: 1, maxOwedUsers: 1 }),
    maxPending: 10,
    onError: (error) => expect.fail(String(error)),
  });
  await receipts.close();
  await receipts.follow({ sender: "ana", recipient: "bo", key: "k", epoch: "e", offset: 1 });
  expect(asked).toEqual([]);
});
