// A whole crowd that comes back at once, beside one user who is live: how long it takes, how long the event loop is held up, and what the
// live user notices. On two cores server and clients hinder each other, so that figures are an upper bound of what the server is to blame for.
import { setTimeout as delay } from "node:timers/promises";
import { start } from "../children.js";
import { aboutRow, rateOf, startServer, userNames } from "../slices.js";
import { median, quantile } from "../stats.js";

const USERS = 1_000;
const MESSAGES = 1_000;
/** How often the live user is sent a message, and how long it is watched while nobody catches up. */
const PER_SECOND = 200;
const CALM_MS = 3_000;
const WATCH_MS = 250;

const ROWS = {
  memory: { title: "Usercast, memory", wire: "sdk", server: { kind: "usercast", broker: "memory" } },
  lmdb: { title: "Usercast, LMDB", wire: "sdk", server: { kind: "usercast", broker: "lmdb" } },
};

export const FAMILIES = {
  crowd: { title: `${USERS} users catch up ${MESSAGES} messages each, at once`, rows: Object.keys(ROWS), isExtra: true },
};

async function once({ server: settings, wire }) {
  const server = await startServer(settings);
  const crowd = await start("processes/crowd.js");
  const live = await start("processes/crowd.js");
  const { port, triggerPort } = server.ready;
  const names = userNames(USERS);
  await server.ask({ do: "users", names });
  await server.ask({ do: "fill", messages: MESSAGES });
  await server.ask({ do: "users", names: ["live"] });
  await live.ask({ do: "connect", port, wire, names: ["live"] });
  const watch = async (ms) => {
    await live.ask({ do: "begin", latencies: true });
    await live.ask({ do: "trigger", port: triggerPort, ms, perSecond: PER_SECOND });
  };
  const latencies = async () => (await live.ask({ do: "counts" })).latenciesMicros;
  await watch(CALM_MS);
  const calm = await latencies();
  await server.ask({ do: "cpu" });
  await server.ask({ do: "delayFrom" });
  const began = performance.now();
  let isDone = false;
  const busy = [];
  const watching = (async () => {
    while (!isDone) {
      await watch(WATCH_MS);
      await delay(WATCH_MS / 5);
      busy.push(...(await latencies()));
    }
  })();
  await crowd.ask({ do: "begin" });
  await crowd.ask({ do: "catchUp", port, wire, names, round: 0 });
  await crowd.ask({ do: "expect", count: USERS * MESSAGES });
  const seconds = (performance.now() - began) / 1_000;
  const { loopP99Ms } = await server.ask({ do: "delayUntil" });
  const { cpuSeconds } = await server.ask({ do: "cpu" });
  const { received, outOfOrder } = await crowd.ask({ do: "counts" });
  isDone = true;
  await watching;
  for (const child of [crowd, live, server]) await child.stop();
  if (received !== USERS * MESSAGES || outOfOrder > 0)
    throw new Error(`${received} messages came, ${outOfOrder} of them out of order.`);
  const milliseconds = (micros) => quantile(micros, 0.99) / 1_000;
  return {
    perCpuSecond: (USERS * MESSAGES) / cpuSeconds,
    perSecond: (USERS * MESSAGES) / seconds,
    server: cpuSeconds / seconds,
    loopP99Ms,
    before: milliseconds(calm),
    during: milliseconds(busy),
  };
}

export async function run({ crowd: names }, settings) {
  settings.tell(FAMILIES.crowd.title);
  const samples = new Map(names.map((name) => [name, []]));
  for (let round = 0; round < settings.repeats; round += 1) {
    for (const name of names) samples.get(name).push(await once(ROWS[name]));
  }
  return names.map((name) => {
    const of = (part) => samples.get(name).map((one) => one[part]);
    return {
      ...aboutRow("crowd", { name, ...ROWS[name] }),
      ...rateOf("messages", samples.get(name)),
      loopP99Ms: median(of("loopP99Ms")),
      liveBeforeP99Ms: median(of("before")),
      liveDuringP99Ms: median(of("during")),
    };
  });
}
