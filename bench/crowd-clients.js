// The clients of the crowds, in a process of their own. Every other one speaks as the SDK.
import { setTimeout as delay } from "node:timers/promises";
import { answerWith } from "./children.js";
import { Client, connectAll } from "./wire.js";

const port = Number(process.argv[2]);
let clients = [];
let latenciesMs = [];

const userNames = (count) => Array.from({ length: count }, (_, i) => `user-${i}`);
const now = () => performance.timeOrigin + performance.now();

/** Waits until these have so many messages each; tells how many have not. */
async function haveAll(some, messages) {
  for (let idle = 0, before = -1; idle < 3_000; idle += 1) {
    const received = some.reduce((sum, client) => sum + client.received, 0);
    if (received >= some.length * messages) break;
    if (received > before) idle = 0;
    before = received;
    await delay(10);
  }
  return some.filter((client) => client.received !== messages || !client.inOrder).length;
}

answerWith({
  /** Connects one client for each of so many users. */
  async connect({ users, kind = "mixed", confirms = true }) {
    const sdk = (i) => kind === "sdk" || (kind === "mixed" && i % 2 === 0);
    clients = await connectAll(port, userNames(users), (i) => ({ sdk: sdk(i), confirms }));
  },
  stall() {
    for (const client of clients) client.stall();
  },
  /** Lets some read again, spread over all; tells how many do not get everything, in order and once. */
  async resume({ sample, messages }) {
    const spread = Array.from({ length: sample }, (_, i) => clients[(Math.floor((i * clients.length) / sample) & ~1) + (i % 2)]);
    const some = [...new Set(spread)].filter((client) => client !== undefined);
    for (const client of some) client.resume();
    return { read: some.length, incomplete: await haveAll(some, messages) };
  },
  /** Waits until every client has so many messages. */
  async expect({ messages, settleMs = 0 }) {
    const incomplete = await haveAll(clients, messages);
    await delay(settleMs);
    return { incomplete };
  },
  /** Connects everybody at once and waits until each has all messages. */
  async catchUp({ users, messages }) {
    const began = performance.now();
    clients = await Promise.all(userNames(users).map((user, i) => Client.connect(port, user, { sdk: i % 2 === 0 })));
    const connectedSeconds = (performance.now() - began) / 1_000;
    const incomplete = await haveAll(clients, messages);
    return { connectedSeconds, seconds: (performance.now() - began) / 1_000, incomplete };
  },
  leave() {
    for (const client of clients) client.close();
    clients = [];
  },
  /** One user to whom messages come while others catch up. */
  async live() {
    const onMessage = (text) => latenciesMs.push(now() - Number(/"at":(\d+(?:\.\d+)?)\}/.exec(text)?.[1]));
    clients = [await Client.connect(port, "live", { sdk: true, onMessage })];
  },
  latencies() {
    const told = latenciesMs;
    latenciesMs = [];
    return { latenciesMs: told };
  },
});

process.on("disconnect", () => process.exit(0));
process.send({ ready: true });
