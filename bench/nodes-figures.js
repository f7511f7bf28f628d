// The figures of nodes.js: each makes its cases, measures them in turn, and answers a table.
import { setTimeout as delay } from "node:timers/promises";
import { NODE_ROWS, nodesSlice } from "./families/nodes.js";
import { openGroup } from "./groups.js";
import { alternate, slice, userNames } from "./slices.js";
import { median, quantile, sum } from "./stats.js";

const KINDS = Object.keys(NODE_ROWS);
const NODES = [1, 2, 4, 8];
const PER_SECOND = 2_000;
/** How long is sent at that rate, and how long without one. */
const PACED_MS = 5_000;
const SLICE_MS = 1_000;
/** Before that, for each node: it compiles what it runs by itself, and of the messages it has only a share. */
const WARM_UP_MS = 2_000;
/** Messages that are sent one by one. */
const ALONE = 500;
/** Longer than heartbeats, cursors and subscriptions that end are gathered. */
const SETTLE_MS = 3_500;
const IDLE_MS = 60_000;
/** The library's own. */
const LEASE_MS = 15_000;

const titleOf = (kind) => NODE_ROWS[kind].title;
const rowOf = (kind) => ({ name: kind, ...NODE_ROWS[kind] });
const namesOf = (count, of) => Array.from({ length: count }, (_, i) => `${of}-${i}`);
/** Clients at all nodes but the first, which sends. */
const others = (ports) => ports.slice(1);

/** CPU time per delivered message with more and more nodes. */
export async function cost({ redis, repeats, users }) {
  const opened = [];
  for (const nodes of NODES) {
    for (const kind of KINDS) opened.push({ ...(await openGroup(redis, rowOf(kind), { nodes, users })), nodes });
  }
  for (const one of opened) await nodesSlice(one, WARM_UP_MS * one.nodes);
  const samples = await alternate(opened, { repeats, warmUps: 1, sliceMs: SLICE_MS }, nodesSlice);
  for (const { stop } of opened) await stop();
  const of = (kind, nodes, part) =>
    median(samples.get(opened.find((one) => one.row.name === kind && one.nodes === nodes)).map((one) => one[part]));
  const costs = (kind, part, name) => [
    name,
    ...NODES.map((nodes) => of(kind, nodes, part).toFixed(0)),
    (of(kind, 8, part) / of(kind, 2, part)).toFixed(2),
  ];
  return [
    ["µs of CPU per delivered message, by nodes", ...NODES, "8 : 2"],
    ...KINDS.map((kind) => costs(kind, "serversMicros", titleOf(kind))),
    ...KINDS.map((kind) => costs(kind, "redisMicros", `  Redis itself, ${titleOf(kind)}`)),
  ];
}

/** Has the first node send at a rate. */
const paced = (one, ms) =>
  slice(
    one,
    async () => {
      const [sender] = one.servers;
      const told = await one.receivers.ask({ do: "trigger", port: sender.ready.triggerPort, ms, perSecond: PER_SECOND });
      await sender.ask({ do: "triggered", count: told.sent });
      return told;
    },
    { latencies: true },
  );

/** Latency from one node to users of others, at a rate that leaves room; and what a message costs there. */
export async function rate({ redis, repeats, users }) {
  const cases = [2, 8].flatMap((nodes) => KINDS.map((kind) => ({ kind, nodes, slices: [] })));
  for (let round = 0; round < repeats; round += 1) {
    for (const { kind, nodes, slices } of cases) {
      const opened = await openGroup(redis, rowOf(kind), { nodes, users, ports: others });
      await paced(opened, WARM_UP_MS * nodes);
      const { latenciesMicros, ...measured } = await paced(opened, PACED_MS);
      slices.push({ ...measured, p50: quantile(latenciesMicros, 0.5), p99: quantile(latenciesMicros, 0.99) });
      await opened.stop();
    }
  }
  return [
    [`from one node to users of the others`, "nodes", "messages/s", "p50 ms", "p99 ms", "µs CPU each"],
    ...cases.map(({ kind, nodes, slices }) => {
      const of = (part) => median(slices.map((one) => one[part]));
      const each = of("serversMicros").toFixed(0);
      return [
        titleOf(kind),
        nodes,
        of("perSecond").toFixed(0),
        (of("p50") / 1_000).toFixed(1),
        (of("p99") / 1_000).toFixed(1),
        each,
      ];
    }),
  ];
}

const told = (counts) =>
  Object.entries(counts)
    .map(([name, count]) => `${count} ${name}`)
    .join(", ");

/** What Redis is asked for. */
export async function commands({ redis, users }) {
  const rows = [["what Redis is asked for, with two nodes", "commands", "by", "which"]];
  for (const kind of KINDS) {
    const opened = await openGroup(redis, rowOf(kind), { nodes: 2, users: 0 });
    const names = userNames(users);
    await opened.server.ask({ do: "users", names });
    const [sender] = opened.servers;
    const [, { ready }] = opened.servers;
    const count = async (what, by, act, per) => {
      const end = await redis.watch();
      await act();
      const counts = end();
      rows.push([`${titleOf(kind)}: ${what}`, (sum(Object.values(counts)) / per).toFixed(3), by, told(counts)]);
    };
    const come = () => opened.receivers.ask({ do: "connect", port: ready.port, wire: opened.row.wire, names });
    const comeAndGo = async () => {
      await come();
      await opened.receivers.ask({ do: "leave" });
      await delay(SETTLE_MS);
    };
    const alone = async (messages) => {
      await opened.receivers.ask({ do: "begin" });
      await sender.ask({ do: "alone", messages });
      await opened.receivers.ask({ do: "expect", count: messages });
    };
    // The first ones find an empty store and a server without the scripts.
    await comeAndGo();
    await count("connections made and lost", "connection", comeAndGo, users);
    await come();
    await delay(SETTLE_MS);
    await alone(users);
    await delay(SETTLE_MS);
    await count("messages one by one", "message", () => alone(ALONE), ALONE);
    await delay(SETTLE_MS);
    const end = await redis.watch();
    const { perSecond } = await paced(opened, PACED_MS);
    const sent = Math.round((perSecond * PACED_MS) / 1_000);
    const counts = end();
    rows.push([
      `${titleOf(kind)}: messages at ${PER_SECOND}/s`,
      (sum(Object.values(counts)) / sent).toFixed(3),
      "message",
      told(counts),
    ]);
    await delay(SETTLE_MS);
    if (kind !== "volatile")
      await count("idle connections", "connection and minute", () => delay(IDLE_MS), users * (IDLE_MS / 60_000));
    await opened.stop();
  }
  return rows;
}

/** How long the users of killed nodes are taken for present, with the library's own lease. */
export async function presence({ redis, repeats, users }) {
  const opened = await openGroup(redis, rowOf("durable"), { nodes: 1 + repeats, users: 0 });
  const [survivor, ...victims] = opened.servers;
  const seconds = [];
  // A node that has just come takes nobody for dead.
  await delay(LEASE_MS);
  for (const [i, victim] of victims.entries()) {
    const names = namesOf(Math.floor(users / 2), `of-${i}`);
    await opened.receivers.ask({ do: "connect", port: victim.ready.port, wire: "plain", names });
    // At another moment of the lease each time.
    await delay((LEASE_MS / 3 / repeats) * i);
    const killedAt = performance.now();
    await victim.kill();
    while ((await survivor.ask({ do: "online", names })).online > 0) await delay(100);
    seconds.push((performance.now() - killedAt) / 1_000);
  }
  await opened.stop();
  return [
    ["seconds until a killed node's users are offline", "median", "longest"],
    [
      `${Math.floor(users / 2)} users, lease of ${LEASE_MS / 1_000} s`,
      median(seconds).toFixed(1),
      Math.max(...seconds).toFixed(1),
    ],
  ];
}

/** How long the users of a killed node need to be back at the other one, with a message each that came meanwhile. */
export async function resume({ redis, repeats, users }) {
  const names = userNames(users * 2);
  const [connected, all] = [[], []];
  for (let round = 0; round < repeats; round += 1) {
    const opened = await openGroup(redis, rowOf("durable"), { nodes: 2, users: 0 });
    const [survivor, victim] = opened.servers;
    const { receivers } = opened;
    await survivor.ask({ do: "users", names });
    await receivers.ask({ do: "connect", port: victim.ready.port, wire: "sdk", names });
    await receivers.ask({ do: "begin" });
    await survivor.ask({ do: "fill", messages: 1 });
    await receivers.ask({ do: "expect", count: names.length });
    await delay(SETTLE_MS);
    await victim.kill();
    await receivers.ask({ do: "leave" });
    await survivor.ask({ do: "fill", messages: 1 });
    await receivers.ask({ do: "begin" });
    const began = performance.now();
    await receivers.ask({ do: "connect", port: survivor.ready.port, wire: "sdk", names, atOnce: names.length });
    connected.push((performance.now() - began) / 1_000);
    await receivers.ask({ do: "expect", count: names.length });
    all.push((performance.now() - began) / 1_000);
    const { received } = await receivers.ask({ do: "counts" });
    if (received !== names.length) throw new Error(`${received} of ${names.length} messages came.`);
    await opened.stop();
  }
  return [
    [`${names.length} users of a killed node, at once`, "seconds"],
    ["registered at the surviving node", median(connected).toFixed(2)],
    ["and have what came meanwhile", median(all).toFixed(2)],
  ];
}
