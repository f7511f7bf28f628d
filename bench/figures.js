// States in one run what a message to one user costs the server, beside the map it replaces, and what an idle registered
// connection weighs, beside bare Socket.IO. `node bench/figures.js [--repeats 5] [--users 1000] [--messages 20000]`
//
// The server runs alone in one process and the receivers in another; only the server's CPU time is counted. The cases take
// turns, so that a machine whose speed drifts is unfair to none, and medians are given.
import { fork } from "node:child_process";
import { once } from "node:events";
import { parseArgs } from "node:util";

const { values } = parseArgs({
  options: {
    repeats: { type: "string", default: "5" },
    users: { type: "string", default: "1000" },
    messages: { type: "string", default: "20000" },
  },
});
const repeats = Number(values.repeats);
const users = Number(values.users);
const messages = Number(values.messages);

const SENDING = ["seed", "volatile", "memory", "lmdb"];
const IDLE = ["bare", "registered"];

const median = (numbers) => [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)];

/** Asks a child for something and waits for its answer. */
async function ask(child, question) {
  const answer = once(child, "message", { signal: AbortSignal.timeout(120_000) });
  child.send(question);
  return (await answer)[0];
}

/** A server of one case with its receivers, all connected. */
async function open(kind, connections) {
  const server = fork(new URL("server.js", import.meta.url), [kind], { execArgv: ["--expose-gc"] });
  const [{ port }] = await once(server, "message");
  const before = await ask(server, { do: "memory" });
  const receivers = fork(new URL("receivers.js", import.meta.url), [
    String(port),
    String(connections),
    kind === "bare" ? "no" : "yes",
  ]);
  await once(receivers, "message");
  const close = async () => {
    const ends = [once(server, "exit"), once(receivers, "exit")];
    receivers.kill();
    server.kill();
    await Promise.all(ends);
  };
  return { server, receivers, before, close };
}

const rates = Object.fromEntries(SENDING.map((kind) => [kind, []]));
const weights = Object.fromEntries(IDLE.map((kind) => [kind, []]));

const opened = [];
for (const kind of SENDING) opened.push([kind, await open(kind, users)]);
for (let round = -1; round < repeats; round += 1) {
  for (const [kind, { server, receivers }] of opened) {
    await ask(receivers, { do: "expect", count: messages });
    const arrived = once(receivers, "message", { signal: AbortSignal.timeout(120_000) });
    const { cpuSeconds } = await ask(server, { do: "send", users, messages });
    await arrived;
    const { tailSeconds } = await ask(server, { do: "tail" });
    if (round >= 0) rates[kind].push(messages / (cpuSeconds + tailSeconds));
  }
}
for (const [, { close }] of opened) await close();

for (let round = 0; round < 3; round += 1) {
  for (const kind of IDLE) {
    const { server, before, close } = await open(kind, users * 2);
    const after = await ask(server, { do: "memory" });
    weights[kind].push((after.heapUsed - before.heapUsed) / (users * 2));
    await close();
  }
}

const line = (name, number, unit, ratio) => console.log(`${name.padEnd(34)} ${number.padStart(9)} ${unit.padEnd(24)} ${ratio}`);
const seed = median(rates.seed);
const NAMES = {
  seed: "io.to(map.get(id)).emit",
  volatile: "users.to(id).volatile.emit",
  memory: "users.to(id).emit on memory",
  lmdb: "users.to(id).emit on LMDB, flushed",
};
console.log(`Node ${process.version}, ${users} users, ${messages} messages of 100 bytes a round, ${repeats} rounds, medians\n`);
for (const kind of SENDING) {
  const rate = median(rates[kind]);
  line(NAMES[kind], rate.toFixed(0), "messages per CPU second", `${(rate / seed).toFixed(2)} of the seed`);
}
const bare = median(weights.bare);
line("idle socket of bare Socket.IO", (bare / 1_024).toFixed(1), "KiB of heap", "");
line(
  "idle registered connection",
  (median(weights.registered) / 1_024).toFixed(1),
  "KiB of heap",
  `${(median(weights.registered) / bare).toFixed(2)} of bare`,
);
