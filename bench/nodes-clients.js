// The clients of a case of nodes.js, in a process of their own: they register, answer heartbeats and count.
import { setTimeout as delay } from "node:timers/promises";
import { answerWith } from "./children.js";
import { Client } from "./wire.js";

/** How many connect at once, where time is not what is measured. */
const AT_ONCE = 50;

let clients = [];
let received = 0;
let latenciesMs = [];
const now = () => Number(process.hrtime.bigint()) / 1e6;

const heard = (text) => {
  received += 1;
  const at = /"at":([\d.]+)\}\]$/.exec(text)?.[1];
  if (at !== undefined) latenciesMs.push(now() - Number(at));
};
const open = (port, id, sdk) => Client.connect(port, id, { sdk, onMessage: heard });

/** Waits until so many messages came; less, if none comes for long. */
async function untilReceived(count) {
  for (let idle = 0, before = -1; received < count && idle < 2_000; idle += 1) {
    if (received > before) idle = 0;
    before = received;
    await delay(5);
  }
  return { received };
}

answerWith({
  /** Connects one client for each of these users, to all ports in turn. */
  async connect({ ports, ids, sdk = false }) {
    for (let i = 0; i < ids.length; i += AT_ONCE) {
      const some = ids.slice(i, i + AT_ONCE).map((id, j) => open(ports[(i + j) % ports.length], id, sdk));
      clients.push(...(await Promise.all(some)));
    }
  },
  async expect({ messages }) {
    const answer = await untilReceived(messages);
    received = 0;
    return answer;
  },
  latencies() {
    const told = latenciesMs;
    latenciesMs = [];
    return { latenciesMs: told };
  },
  leave() {
    for (const client of clients) client.close();
    clients = [];
  },
  /** Connects everybody at once to one port, and waits until each has its message. */
  async resume({ port, ids }) {
    received = 0;
    const began = now();
    clients = await Promise.all(ids.map((id) => open(port, id, true)));
    const connectedSeconds = (now() - began) / 1_000;
    await untilReceived(ids.length);
    return { connectedSeconds, seconds: (now() - began) / 1_000, received };
  },
});

process.on("disconnect", () => process.exit(0));
process.send({ ready: true });
