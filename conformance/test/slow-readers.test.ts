import { expect, test } from "vitest";
import { bystander } from "../support/bystander.ts";
import { describeUser, sendAll } from "../support/http.ts";
import { numbered } from "../support/order.ts";
import { shared } from "../support/owned.ts";
import type { RawWebSocket } from "../support/raw-websocket.ts";
import { TestServer } from "../support/server.ts";
import { readMessages, wireClient } from "../support/wire-client.ts";

// Connections that stop reading cost the server a bounded amount of memory each, whatever they are sent, and lose nothing.
// `bench/stalled.js` does the same with a thousand readers and ten million messages.

const MEBIBYTE = 1_048_576;
const USERS = 4;
const READERS_PER_USER = 25;
const MESSAGES = 2_000;
const MESSAGE_BYTES = 4_096;
/** Readers of which it is seen that they lack nothing: some of each user, half of them with the SDK's wire. */
const SAMPLE_PER_USER = 6;
/** The server's defaults. */
const WINDOW_MESSAGES = 256;
const WINDOW_BYTES = MEBIBYTE;
/** What thousands of HTTP requests leave behind until it is collected. */
const CHANGE_BYTES = 96 * MEBIBYTE;

const server = shared(() => TestServer.start());

test("a hundred readers that stall cost no more than their windows, and get everything when they read again", async () => {
  const calm = await bystander(server());
  const restingBytes = server().memoryBytes;
  const users = numbered("sleeper", USERS);
  const readers = new Map<string, RawWebSocket[]>();
  for (const user of users) {
    const own: RawWebSocket[] = [];
    for (let i = 0; i < READERS_PER_USER; i++)
      own.push(await wireClient(server(), user, i % 2 === 0 ? undefined : `device-${i}`));
    readers.set(user, own);
    for (const reader of own) reader.pause();
  }
  const mailboxes = new Map<string, readonly unknown[]>();
  let mostBytes = 0;
  const onAccepted = (count: number): void => {
    if (count % 50 === 0) mostBytes = Math.max(mostBytes, server().memoryBytes);
  };
  const sending = users.map(async (user) => {
    mailboxes.set(
      user,
      await sendAll(server(), user, numbered("x".repeat(MESSAGE_BYTES), MESSAGES), { concurrency: 4, onAccepted }),
    );
  });
  await calm.notices();
  await Promise.all(sending);
  for (const user of users) {
    const { connections } = await describeUser(server(), user);
    expect(connections).toHaveLength(READERS_PER_USER);
    for (const { sent, confirmed } of connections) {
      expect(sent - confirmed).toBeLessThanOrEqual(WINDOW_MESSAGES);
      expect((sent - confirmed) * MESSAGE_BYTES).toBeLessThanOrEqual(WINDOW_BYTES);
    }
  }
  const readerCount = USERS * READERS_PER_USER;
  const perReaderKib = (mostBytes - restingBytes) / readerCount / 1_024;
  console.log(
    `slow-readers.test.ts: at most ${perReaderKib.toFixed(0)} KiB for each reader, of ${(MESSAGES * MESSAGE_BYTES) / 1_024} KiB it was sent`,
  );
  expect(mostBytes).toBeLessThan(restingBytes + readerCount * WINDOW_BYTES * 0.5 + CHANGE_BYTES);

  for (const [user, own] of readers) {
    for (const reader of own.slice(0, SAMPLE_PER_USER)) {
      reader.resume();
      expect(await readMessages(reader, MESSAGES)).toEqual(mailboxes.get(user));
    }
  }
  await calm.notices();
});
