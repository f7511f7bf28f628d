// A crowd that comes back at once and catches up, beside one user who is live: how long it takes, how long the server's event
// loop is held up, and what the live user notices.
// `node bench/catch-up.js [--users 1000] [--messages 1000] [--repeats 5] [--every 5]`
//
// Server, crowd and live user are three processes; on a machine of fewer cores they hinder each other, so that figures are
// an upper bound of what the server is to blame for. The brokers take turns, and medians are given.
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import { median, printTable, quantile, start } from "./children.js";

const { values } = parseArgs({
  options: {
    users: { type: "string", default: "1000" },
    messages: { type: "string", default: "1000" },
    repeats: { type: "string", default: "5" },
    every: { type: "string", default: "5" },
  },
});
const users = Number(values.users);
const messages = Number(values.messages);
const repeats = Number(values.repeats);
const BROKERS = ["memory", "lmdb"];
/** How long the live user is watched while nobody catches up. */
const CALM_MS = 3_000;

/** One crowd on a server of its own; figures by name. */
async function round(broker) {
  const server = await start("crowd-server.js", [JSON.stringify({ broker })], ["--expose-gc", "--max-old-space-size=8192"]);
  const { port } = server.ready;
  const crowd = await start("crowd-clients.js", [port]);
  const live = await start("crowd-clients.js", [port]);
  await server.ask({ do: "send", users, messages });
  await live.ask({ do: "live" });
  await server.ask({ do: "memory" });
  await server.ask({ do: "liveFrom", everyMs: Number(values.every) });
  await delay(500);
  await live.ask({ do: "latencies" });
  await delay(CALM_MS);
  const calm = (await live.ask({ do: "latencies" })).latenciesMs;
  await server.ask({ do: "cpu" });
  await server.ask({ do: "delayFrom" });
  const { connectedSeconds, seconds, incomplete } = await crowd.ask({ do: "catchUp", users, messages });
  const loop = await server.ask({ do: "delayUntil" });
  const { cpuSeconds } = await server.ask({ do: "cpu" });
  const busy = (await live.ask({ do: "latencies" })).latenciesMs;
  await server.ask({ do: "liveUntil" });
  for (const child of [crowd, live, server]) await child.stop();
  if (incomplete > 0) throw new Error(`${incomplete} users did not get everything in order.`);
  return {
    "all have caught up, s": seconds,
    "all are connected, s": connectedSeconds,
    "messages caught up a second": (users * messages) / seconds,
    "CPU of the server, s": cpuSeconds,
    "event loop delay p50, ms": loop.p50Ms,
    "event loop delay p99, ms": loop.p99Ms,
    "event loop delay at most, ms": loop.maxMs,
    "live user before, p50, ms": quantile(calm, 0.5),
    "live user before, p99, ms": quantile(calm, 0.99),
    "live user during, p50, ms": quantile(busy, 0.5),
    "live user during, p99, ms": quantile(busy, 0.99),
    "messages to the live user during": busy.length,
  };
}

const rounds = Object.fromEntries(BROKERS.map((broker) => [broker, []]));
for (let repeat = 0; repeat < repeats; repeat += 1) for (const broker of BROKERS) rounds[broker].push(await round(broker));

console.log(`Node ${process.version}, ${users} users catch up ${messages} messages each, medians of ${repeats} rounds\n`);
const figures = Object.keys(rounds.memory[0]);
printTable([
  ["", ...BROKERS],
  ...figures.map((name) => [
    name,
    ...BROKERS.map((broker) => {
      const figure = median(rounds[broker].map((one) => one[name]));
      return figure >= 100 ? figure.toFixed(0) : figure.toFixed(2);
    }),
  ]),
]);
