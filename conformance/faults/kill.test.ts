import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { send } from "../support/http.ts";
import { numbered } from "../support/order.ts";
import { owned } from "../support/owned.ts";
import { NEWEST, plainClient } from "../support/plain.ts";
import { seeded } from "../support/random.ts";
import { loadSdk } from "../support/sdk.ts";
import { steadyPort, TestServer } from "../support/server.ts";
import { until } from "../support/wait.ts";

// The first promises, against the process that keeps them: it is killed again and again while it accepts messages.

const KILLS = 24;
const SENDERS = 6;
const USER = "ana";
/** Between two messages of one sender, at most. */
const MAX_PAUSE_MS = 12;
/** Between a start and the next kill: from before the first client is back to well into the stream. */
const MIN_LIFE_MS = 30;
const MAX_LIFE_MS = 900;
/** More than are ever sent here, so that nothing is trimmed. */
const LIMITS = ["--max-mailbox-messages", "1000000", "--max-mailbox-bytes", "1000000000"];

/** What was accepted, by name: its place in the mailbox. */
type Accepted = Map<string, number>;

/** A source of messages. Every message is sent with a key and until it is accepted, or without one and only once. */
async function sender(
  server: TestServer,
  { name, pauseMs, isOver }: { readonly name: string; readonly pauseMs: () => number; readonly isOver: () => boolean },
  sent: Set<string>,
  accepted: Accepted,
): Promise<void> {
  for (let i = 1; !isOver(); i++) {
    const keyed = i % 3 !== 0;
    const data = `${name} ${i}${keyed ? "" : " without a key"}`;
    sent.add(data);
    for (;;) {
      const answer = await send(server, USER, data, keyed ? { key: data } : {}).catch(() => undefined);
      if (answer?.offset !== undefined) {
        accepted.set(data, answer.offset);
        break;
      }
      // A server that is being killed answers nothing; anything else would be a fault.
      if (answer !== undefined) throw new Error(`The server answered ${answer.status}: ${answer.error?.code}`);
      if (!keyed) break;
      await delay(20);
    }
    await delay(pauseMs());
  }
}

test(`of what is accepted, ${KILLS} kills lose nothing, turn nothing around and repeat nothing`, {
  timeout: 150_000,
}, async () => {
  const seed = Number(process.env["USERCAST_SEED"] ?? Math.floor(Math.random() * 2 ** 32));
  console.log(`kill.test.ts: USERCAST_SEED=${seed}`);
  const random = seeded(seed);
  const server = owned(await TestServer.start({ port: await steadyPort(), args: LIMITS }));

  const { connect } = await loadSdk(server);
  const handled: { readonly offset: number; readonly data: string }[] = [];
  const trouble: unknown[] = [];
  const me = owned(connect(server.url, { userId: USER, socketOptions: { reconnectionDelay: 20, reconnectionDelayMax: 100 } }));
  // Handlers that take their time: some have not settled when the server dies.
  me.on("message", async (data, { offset }) => {
    handled.push({ offset, data: String(data) });
    await delay(offset % 5);
  });
  for (const event of ["missed", "error", "unhandled"])
    me.lifecycle.on(event, (what: unknown) => trouble.push({ [event]: what }));
  const plain = plainClient(NEWEST, server.url, USER);

  const sent = new Set<string>();
  const accepted: Accepted = new Map();
  let over = false;
  const senders = Array.from({ length: SENDERS }, (_, i) => {
    const how = { name: `sender ${i + 1}`, pauseMs: () => random() * MAX_PAUSE_MS, isOver: () => over };
    return sender(server, how, sent, accepted);
  });
  for (let kills = 0; kills < KILLS; kills++) {
    await delay(MIN_LIFE_MS + random() * (MAX_LIFE_MS - MIN_LIFE_MS));
    await server.kill();
    await server.restart();
  }
  over = true;
  await Promise.all(senders);
  const last = await send(server, USER, "the last one");
  sent.add("the last one");
  accepted.set("the last one", last.offset ?? -1);
  await until("the SDK has handled the last one", () => handled.at(-1)?.data === "the last one");
  await until("the plain client has the last one", () => plain.received().at(-1) === "the last one");

  console.log(`kill.test.ts: ${accepted.size} of ${sent.size} messages accepted, ${plain.connections.length} plain connections`);
  expect(trouble).toEqual([]);
  const offsets = handled.map(({ offset }) => offset);
  const mailbox = handled.map(({ data }) => data);
  // One page life: in order and once, with no hole, because nothing expired or was trimmed.
  expect(offsets).toEqual(offsets.map((_, i) => i + 1));
  // At the place its sender was told, and nothing twice under one key, nor anything that was sent only once.
  expect([...accepted].filter(([data, offset]) => mailbox[offset - 1] !== data)).toEqual([]);
  expect(mailbox.filter((data, i) => mailbox.indexOf(data) !== i)).toEqual([]);
  expect(mailbox.filter((data) => !sent.has(data))).toEqual([]);
  // Messages with a key were tried until they were accepted.
  expect([...sent].filter((data) => !data.endsWith("without a key") && !accepted.has(data))).toEqual([]);
  // The plain client: every connection a stretch without holes, in all everything, nothing new after something newer.
  const placeOf = new Map(mailbox.map((data, i) => [data, i + 1]));
  for (const received of plain.connections) {
    const places = received.map((data) => placeOf.get(String(data)) ?? -1);
    expect(places).toEqual(places.map((_, i) => (places[0] ?? 0) + i));
  }
  expect([...new Set(plain.received())]).toEqual(mailbox);
});

test("what users send to users takes effect once and in order, through kills", { timeout: 60_000 }, async () => {
  const server = owned(await TestServer.start({ port: await steadyPort() }));
  const { connect } = await loadSdk(server);
  const socketOptions = { reconnectionDelay: 20, reconnectionDelayMax: 100 };
  const ana = owned(connect(server.url, { userId: "ana", socketOptions }));
  const bo = owned(connect(server.url, { userId: "bo", socketOptions }));
  const arrived: unknown[] = [];
  bo.on("message", (data) => arrived.push(data));
  await until("both are online", () => ana.status === "online" && bo.status === "online");
  const messages = numbered("to bo", 80);
  const states = messages.map((message) => ana.to("bo").emit("message", message));
  for (const count of [1, 20, 40, 60]) {
    await until("some more have arrived", () => arrived.length >= count);
    await server.kill();
    await server.restart();
  }
  await Promise.all(states);
  await until("all have arrived", () => arrived.length >= messages.length);
  await send(server, "bo", "the end");
  await until("the end has arrived", () => arrived.at(-1) === "the end");
  expect(arrived).toEqual([...messages, "the end"]);
});
