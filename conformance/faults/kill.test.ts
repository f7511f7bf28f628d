import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { misbehave } from "../support/chaos.ts";
import { connectionCount, send } from "../support/http.ts";
import { numbered } from "../support/order.ts";
import { owned } from "../support/owned.ts";
import { LIBRARIES, type Library, NEWEST, type PlainClient, plainClient } from "../support/plain.ts";
import { announcedSeed, type Random, seeded } from "../support/random.ts";
import { RECONNECT } from "../support/reconnect.ts";
import { loadSdk } from "../support/sdk.ts";
import { steadyPort, TestServer } from "../support/server.ts";
import { TcpProxy } from "../support/tcp-proxy.ts";
import { until } from "../support/wait.ts";
import { brokenPromises, type Handled } from "../support/witnesses.ts";

// The first promises, against the process that keeps them: it is killed again and again while it accepts messages, and the
// networks of most of its clients are no better.

/** `npm run faults` asks for more. */
const KILLS = Number(process.env["USERCAST_KILLS"] ?? 10);
const SENDERS = 5;
const USER = "ana";
/** Between two messages of one sender, at most. */
const MAX_PAUSE_MS = 25;
/** Between a start and the next kill: from before the first client is back to well into the stream. */
const MIN_LIFE_MS = 30;
const MAX_LIFE_MS = 1_200;
/** More than are ever sent here, so that nothing is trimmed. */
const LIMITS = ["--max-mailbox-messages", "1000000", "--max-mailbox-bytes", "1000000000"];
/** A client whose move to WebSocket was cut off at a bad moment finds out when its heartbeat is due: after 45 seconds. */
const PATIENCE_MS = 60_000;
/** Who comes back quickly meets the server at its worst. */

/** Pages with the SDK: what they are called, their device, whether their network is bad, and how they connect. */
const PAGES = [
  { name: "laptop, first tab", deviceId: "laptop", proxied: false, options: {} },
  { name: "laptop, second tab", deviceId: "laptop", proxied: true, options: {} },
  { name: "phone", deviceId: "phone", proxied: true, options: { transports: ["websocket"] } },
  { name: "tablet", deviceId: "tablet", proxied: true, options: { transports: ["polling"] } },
] as const;

const OLDER = LIBRARIES[2] ?? NEWEST;

/** Plain clients, likewise. */
const PLAIN: readonly {
  readonly name: string;
  readonly library: Library;
  readonly proxied: boolean;
  readonly options: object;
}[] = [
  { name: "direct", library: NEWEST, proxied: false, options: {} },
  { name: "over WebSocket", library: NEWEST, proxied: true, options: { transports: ["websocket"] } },
  { name: "over polling", library: NEWEST, proxied: true, options: { transports: ["polling"] } },
  { name: "an older one", library: OLDER, proxied: true, options: {} },
];

/** What all senders note. */
class Ledger {
  readonly sent = new Map<string, { readonly keyed: boolean }>();
  readonly accepted = new Map<string, number>();

  /** Sends numbered messages until `isOver`: with a key and until they are accepted, or without one and only once. */
  async keepSending(server: TestServer, name: string, random: Random, isOver: () => boolean): Promise<void> {
    for (let i = 1; !isOver(); i++) {
      await this.sendOne(server, `${name} ${i}`, i % 3 !== 0);
      await delay(random() * MAX_PAUSE_MS);
    }
  }

  async sendOne(server: TestServer, data: string, keyed: boolean): Promise<void> {
    this.sent.set(data, { keyed });
    for (;;) {
      const answer = await send(server, USER, data, keyed ? { key: data } : {}).catch(() => undefined);
      if (answer?.offset !== undefined) {
        this.accepted.set(data, answer.offset);
        return;
      }
      // A server that is being killed answers nothing; anything else would be a fault.
      if (answer !== undefined) throw new Error(`The server answered ${answer.status}: ${answer.error?.code}`);
      if (!keyed) return;
      await delay(20);
    }
  }
}

test(`of what is accepted, ${KILLS} kills and bad networks lose nothing, turn nothing around and repeat nothing`, {
  timeout: 90_000 + KILLS * 5_000,
}, async () => {
  const seed = announcedSeed("kill.test.ts");
  // Everybody has a stream of their own, so that what one does next does not hang on how fast the others are.
  let streams = 0;
  const newStream = (): Random => seeded(seed + streams++);
  const server = owned(await TestServer.start({ port: await steadyPort(), args: LIMITS }));
  const proxies: TcpProxy[] = [];
  const urlFor = async (proxied: boolean): Promise<string> => {
    if (!proxied) return server.url;
    const proxy = owned(await TcpProxy.start(server.port));
    proxies.push(proxy);
    return proxy.url;
  };

  const { connect } = await loadSdk(server);
  const pages = new Map<string, Handled[]>();
  const trouble: unknown[] = [];
  for (const { name, deviceId, proxied, options } of PAGES) {
    const handled: Handled[] = [];
    pages.set(name, handled);
    const url = await urlFor(proxied);
    const me = owned(connect(url, { userId: USER, deviceId, socketOptions: { ...RECONNECT, ...options } }));
    // Handlers that take their time: some have not settled when the server dies.
    me.on("message", async (data, { offset }) => {
      handled.push({ offset, data: String(data) });
      await delay(offset % 5);
    });
    for (const event of ["missed", "error", "unhandled"])
      me.lifecycle.on(event, (what: unknown) => trouble.push({ [name]: { [event]: what } }));
  }
  const plain = new Map<string, PlainClient>();
  for (const { name, library, proxied, options } of PLAIN) {
    plain.set(name, plainClient(library, await urlFor(proxied), USER, options));
  }
  await until("all are there", async () => (await connectionCount(server, USER)) === PAGES.length + PLAIN.length);

  const ledger = new Ledger();
  let over = false;
  const isOver = (): boolean => over;
  const going = [
    ...proxies.map((proxy) => misbehave(proxy, newStream(), isOver)),
    ...numbered("sender", SENDERS).map((name) => ledger.keepSending(server, name, newStream(), isOver)),
  ];
  const moments = newStream();
  for (let kills = 0; kills < KILLS; kills++) {
    await delay(MIN_LIFE_MS + moments() * (MAX_LIFE_MS - MIN_LIFE_MS));
    await server.kill();
    await server.restart();
  }
  over = true;
  await Promise.all(going);
  await ledger.sendOne(server, "the last one", true);
  for (const [name, handled] of pages) {
    await until(`${name} has handled the last one`, () => handled.at(-1)?.data === "the last one", PATIENCE_MS);
  }
  for (const [name, { received }] of plain) {
    await until(`the plain client ${name} has the last one`, () => received().at(-1) === "the last one", PATIENCE_MS);
  }

  const { sent, accepted } = ledger;
  const connections = new Map([...plain].map(([name, client]) => [name, client.connections]));
  const counts = [...connections].map(([name, those]) => `${name} ${those.length}`).join(", ");
  console.log(`kill.test.ts: ${accepted.size} of ${sent.size} messages accepted; plain connections: ${counts}`);
  expect(trouble).toEqual([]);
  expect(brokenPromises({ sent, accepted, pages, plain: connections })).toEqual([]);
});

test("what users send to users takes effect once and in order, through kills", { timeout: 60_000 }, async () => {
  const server = owned(await TestServer.start({ port: await steadyPort() }));
  const { connect } = await loadSdk(server);
  const ana = owned(connect(server.url, { userId: "ana", socketOptions: RECONNECT }));
  const bo = owned(connect(server.url, { userId: "bo", socketOptions: RECONNECT }));
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
