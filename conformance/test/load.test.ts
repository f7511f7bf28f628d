import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { bystander } from "../support/bystander.ts";
import { connectionCount, describeUser, sendAll } from "../support/http.ts";
import { numbered } from "../support/order.ts";
import { owned, shared } from "../support/owned.ts";
import { RawWebSocket } from "../support/raw-websocket.ts";
import { TestServer } from "../support/server.ts";
import { until } from "../support/wait.ts";

// One user's excess costs a bounded amount of memory, and others no time.

const PATH = "/socket.io/?EIO=4&transport=websocket";
const MEBIBYTE = 1_048_576;
/** What may be left of an excess: pages that V8 and the allocator keep for the next one. */
const KEPT_BYTES = 64 * MEBIBYTE;

const SOCKETS = 1_000;
/** The server's defaults. */
const MAX_CONNECTIONS = 64;
const WINDOW_MESSAGES = 256;

const server = shared(() => TestServer.start());

/** A plain client by hand, registered. */
async function rawClient(user: string): Promise<RawWebSocket> {
  const raw = await RawWebSocket.connect(server().port, PATH);
  raw.send("40");
  await raw.next((text) => text.startsWith("40{"));
  raw.send(`421["register",${JSON.stringify(user)}]`);
  await raw.next((text) => text.startsWith("431["));
  return raw;
}

/** Asks bystanders while `work` goes on; answers the longest a message to them took, in milliseconds. */
async function whileBystanding(work: Promise<unknown>): Promise<number> {
  const calm = await bystander(server());
  let over = false;
  let longestMs = 0;
  const done = work.finally(() => {
    over = true;
  });
  while (!over) {
    longestMs = Math.max(longestMs, await calm.notices());
    await delay(20);
  }
  await done;
  return longestMs;
}

test("of a thousand sockets of one user the newest stay, and the rest is told why it goes", { timeout: 120_000 }, async () => {
  const user = "crowd";
  const restingBytes = server().memoryBytes;
  const sockets: RawWebSocket[] = [];
  const closeAll = (): void => {
    for (const raw of sockets) raw.close();
  };
  owned({ close: closeAll });
  await whileBystanding(
    (async () => {
      while (sockets.length < SOCKETS - MAX_CONNECTIONS) {
        sockets.push(...(await Promise.all(Array.from({ length: 12 }, () => rawClient(user)))));
      }
      // One after the other, so that it is known which are the newest.
      while (sockets.length < SOCKETS) sockets.push(await rawClient(user));
    })(),
  );
  await until("the rest is closed", () => sockets.slice(0, -MAX_CONNECTIONS).every((raw) => raw.received.some(isFarewell)));
  expect((await describeUser(server(), user)).connections).toHaveLength(MAX_CONNECTIONS);
  const mailbox = await sendAll(server(), user, ["to those that stay"]);
  await Promise.all(sockets.slice(-MAX_CONNECTIONS).map((raw) => raw.next((text) => text === `42["message","${mailbox[0]}"]`)));
  closeAll();
  await until("the user is offline", async () => (await connectionCount(server(), user)) === 0);
  await until("memory is given back", () => server().memoryBytes < restingBytes + KEPT_BYTES);
});

const isFarewell = (text: string): boolean => text.includes("usercast:closing") && text.includes("TOO_MANY_CONNECTIONS");

test("a client that never reads costs little memory and nobody's time, and when it reads it gets everything", {
  timeout: 120_000,
}, async () => {
  const user = "sleeper";
  const text = "x".repeat(1_000);
  const messages = numbered(text, 10_000);
  const sleeper = owned(await rawClient(user));
  await until("the user is online", async () => (await connectionCount(server(), user)) === 1);
  const restingBytes = server().memoryBytes;
  sleeper.pause();
  let mailbox: readonly unknown[] = [];
  let mostBytes = 0;
  const sending = sendAll(server(), user, messages, {
    concurrency: 16,
    onAccepted: () => {
      mostBytes = Math.max(mostBytes, server().memoryBytes);
    },
  }).then((placed) => {
    mailbox = placed;
  });
  await whileBystanding(sending);
  const [connection] = (await describeUser(server(), user)).connections;
  expect(connection).toMatchObject({ sent: WINDOW_MESSAGES, confirmed: 0 });
  // What ten thousand HTTP requests leave behind until it is collected is in this, too.
  expect(mostBytes).toBeLessThan(restingBytes + 128 * MEBIBYTE);

  const received: string[] = [];
  sleeper.resume();
  const reads = (async () => {
    while (received.length < mailbox.length) {
      const packet = await sleeper.next((packet) => packet.startsWith("42[") || packet === "2");
      if (packet === "2") sleeper.send("3");
      else received.push((JSON.parse(packet.slice(2)) as [string, string])[1]);
    }
  })();
  await whileBystanding(reads);
  expect(received).toEqual(mailbox);
  sleeper.close();
  await until("memory is given back", () => server().memoryBytes < restingBytes + KEPT_BYTES);
});
