// What confirmations cost the server: messages per second of its CPU time, to clients that confirm as the SDK does, and to
// such that never do and whose window is without end. `node bench/acks.js [--repeats 7] [--users 1000] [--messages 20]`
//
// The cases take turns, so that a machine whose speed drifts is unfair to none, and medians are given.
import { parseArgs } from "node:util";
import { median, printTable, start } from "./children.js";

const { values } = parseArgs({
  options: {
    repeats: { type: "string", default: "7" },
    users: { type: "string", default: "1000" },
    messages: { type: "string", default: "20" },
  },
});
const repeats = Number(values.repeats);
const users = Number(values.users);
const messages = Number(values.messages);
/** Longer than confirmations are gathered, and cursors after them. */
const SETTLE_MS = 1_000;

const CASES = ["memory", "lmdb"].flatMap((broker) => [false, true].map((confirms) => ({ broker, confirms })));
const endless = { windowMessages: 1_000_000, windowBytes: 2 ** 40 };

const opened = [];
for (const { broker, confirms } of CASES) {
  const options = { broker, usercastOptions: endless };
  const server = await start("crowd-server.js", [JSON.stringify(options)], ["--expose-gc"]);
  const clients = await start("crowd-clients.js", [server.ready.port]);
  await clients.ask({ do: "connect", users, kind: "sdk", confirms });
  opened.push({ broker, confirms, server, clients, rates: [] });
}
// The first round warms up and does not count.
for (let round = 0; round <= repeats; round += 1) {
  for (const { server, clients, rates } of opened) {
    await server.ask({ do: "memory" });
    await server.ask({ do: "cpu" });
    await server.ask({ do: "send", users, messages });
    const { incomplete } = await clients.ask({ do: "expect", messages: (round + 1) * messages, settleMs: SETTLE_MS });
    if (incomplete > 0) throw new Error(`${incomplete} clients did not get everything in order.`);
    const { cpuSeconds } = await server.ask({ do: "cpu" });
    if (round > 0) rates.push((users * messages) / cpuSeconds);
  }
}
for (const { server, clients } of opened) {
  await clients.stop();
  await server.stop();
}

console.log(`Node ${process.version}, ${users} users, ${messages} messages to each a round, ${repeats} rounds, medians\n`);
const rateOf = (broker, confirms) => median(opened.find((one) => one.broker === broker && one.confirms === confirms).rates);
printTable([
  ["messages per CPU second", "without", "confirmed", "share"],
  ...["memory", "lmdb"].map((broker) => {
    const [without, confirmed] = [rateOf(broker, false), rateOf(broker, true)];
    return [broker, without.toFixed(0), confirmed.toFixed(0), (confirmed / without).toFixed(2)];
  }),
]);
