// Many clients in one process, which count.
import { setTimeout as delay } from "node:timers/promises";
import { answerWith } from "../children.js";
import { openAll } from "../clients.js";
import { nowMicros, numberOf } from "../payload.js";

/** How long nothing may come before what is missing counts as lost. */
const SILENCE_MS = 3_000;

let clients = [];
let received = 0;
let lastMicros = 0;
let latenciesMicros;
let mark;

const onMessage = (bytes, end) => {
  received += 1;
  if (latenciesMicros !== undefined) latenciesMicros.push(nowMicros() - numberOf(bytes, end));
};

function utilisation() {
  const { user, system } = process.cpuUsage(mark?.cpu);
  return (user + system) / Math.max(1, nowMicros() - (mark?.micros ?? 0));
}

answerWith({
  /** Connects so many clients for each user. */
  async connect({ port, wire, names, perUser = 1, confirms }) {
    const began = nowMicros();
    const options = names.flatMap((user) =>
      Array.from({ length: perUser }, (_, device) => ({ port, wire, user, device, confirms, onMessage })),
    );
    clients.push(...(await openAll(options)));
    return { seconds: (nowMicros() - began) / 1e6 };
  },
  /** Begins to count anew. */
  begin({ latencies = false }) {
    received = 0;
    latenciesMicros = latencies ? [] : undefined;
    mark = { cpu: process.cpuUsage(), micros: nowMicros() };
  },
  /** Waits until so many messages came, or none come any more. */
  async expect({ count }) {
    lastMicros = nowMicros();
    for (let before = received; received < count; ) {
      await delay(1);
      if (received !== before) lastMicros = nowMicros();
      else if (nowMicros() - lastMicros > SILENCE_MS * 1_000) break;
      before = received;
    }
    return { received, lastMicros, utilisation: utilisation() };
  },
  /** How many have come by now, and how many of them out of order; and, where they were taken, the time each took. */
  counts() {
    const outOfOrder = clients.reduce((total, client) => total + client.outOfOrder, 0);
    return { received, outOfOrder, latenciesMicros };
  },
  async leave() {
    await Promise.all(clients.map((client) => client.close()));
    clients = [];
  },
});

process.send({ ready: true });
