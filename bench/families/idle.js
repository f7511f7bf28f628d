// What a connection costs that is made and does nothing: memory while it is there, CPU when it comes.
import { setTimeout as delay } from "node:timers/promises";
import { start } from "../children.js";
import { aboutRow, rateOf, startServer, userNames } from "../slices.js";
import { median, spread } from "../stats.js";

const CONNECTIONS = 10_000;
/** Connections that are made and closed before, so that what is loaded and compiled once is not counted. */
const WARM_UP = 500;
/** Longer than anything that is done some time after a connection was made, or lost. */
const REST_MS = 500;
/** Ten thousand connections take a while: one round for so many repeats of other cases. */
const REPEATS_PER_ROUND = 2;

const ROWS = {
  raw: { title: "ws", wire: "raw", server: { kind: "rawSend" } },
  bare: { title: "Socket.IO", wire: "bare", server: { kind: "bare" } },
  "usercast-plain": { title: "Usercast, registered", wire: "plain", server: { kind: "usercast", broker: "memory" } },
  usercast: { title: "Usercast, registered", wire: "sdk", server: { kind: "usercast", broker: "memory" } },
  "usercast-released": {
    title: "Usercast, registered, releaseRequest",
    wire: "sdk",
    server: { kind: "usercast", broker: "memory", options: { releaseRequest: true } },
  },
};
const CONNECTING = ["raw", "bare", "usercast-plain", "usercast"];

export const FAMILIES = {
  idle: { title: `An idle connection of ${CONNECTIONS.toLocaleString("en-US")}`, rows: Object.keys(ROWS) },
  connect: { title: "Connections accepted and registered", rows: CONNECTING },
};

async function once({ server: settings, wire }) {
  const server = await startServer(settings);
  const crowd = await start("processes/crowd.js");
  const { port } = server.ready;
  await crowd.ask({ do: "connect", port, wire, names: userNames(WARM_UP).map((name) => `first-${name}`) });
  await crowd.ask({ do: "leave" });
  await delay(REST_MS);
  const before = await server.ask({ do: "memory" });
  await server.ask({ do: "cpu" });
  const began = performance.now();
  await crowd.ask({ do: "begin" });
  await crowd.ask({ do: "connect", port, wire, names: userNames(CONNECTIONS) });
  const seconds = (performance.now() - began) / 1_000;
  const { cpuSeconds } = await server.ask({ do: "cpu" });
  const { utilisation } = await crowd.ask({ do: "expect", count: 0 });
  await delay(REST_MS);
  const after = await server.ask({ do: "memory" });
  await crowd.stop();
  await server.stop();
  return {
    residentKiB: (after.residentBytes - before.residentBytes) / CONNECTIONS / 1_024,
    heapKiB: (after.heapBytes - before.heapBytes) / CONNECTIONS / 1_024,
    perCpuSecond: CONNECTIONS / cpuSeconds,
    perSecond: CONNECTIONS / seconds,
    server: cpuSeconds / seconds,
    crowd: utilisation,
  };
}

/** Every connection of every round is one to a new process, so that none begins in the memory that another left. */
export async function run({ idle = [], connect = [] }, settings) {
  settings.tell(FAMILIES.idle.title);
  const chosen = Object.entries(ROWS).filter(([name]) => idle.includes(name) || connect.includes(name));
  const samples = new Map(chosen.map(([name]) => [name, []]));
  for (let round = 0; round < Math.max(1, Math.round(settings.repeats / REPEATS_PER_ROUND)); round += 1) {
    for (const [name, row] of chosen) samples.get(name).push(await once(row));
  }
  const of = (name, part) => samples.get(name).map((one) => one[part]);
  const about = (family, name) => aboutRow(family, { name, ...ROWS[name] });
  return [
    ...idle.map((name) => ({
      ...about("idle", name),
      unit: "KiB of memory",
      ...spread(of(name, "residentKiB")),
      heapKiB: median(of(name, "heapKiB")),
    })),
    ...connect.map((name) => ({
      ...about("connect", name),
      ...rateOf("connections", samples.get(name)),
      clientUtilisation: median(of(name, "crowd")),
    })),
  ];
}
