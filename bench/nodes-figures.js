// The figures of nodes.js: each makes its cases, measures them in turn, and answers a table.
import { setTimeout as delay } from "node:timers/promises";
import { median, quantile, start } from "./children.js";

const NAMES = {
  usercast: "users.to(id).emit",
  volatile: "users.to(id).volatile.emit",
  classic: "io.to(room).emit, classic adapter",
  sharded: "io.to(room).emit, sharded adapter",
};
const KINDS = Object.keys(NAMES);
const NODES = [1, 2, 4, 8];
/** Rounds that do not count: of many nodes each has few messages to be compiled by. */
const WARM_UPS = 4;
const PER_SECOND = 2_000;
/** How long is sent at that rate. */
const PACED_SECONDS = 5;
/** Longer than heartbeats, cursors and subscriptions that end are gathered. */
const SETTLE_MS = 3_500;
const IDLE_MS = 60_000;
/** The library's own. */
const LEASE_MS = 15_000;

const names = (count, of = "user") => Array.from({ length: count }, (_, i) => `${of}-${i}`);
const sum = (numbers) => numbers.reduce((total, number) => total + number, 0);

let cases = 0;

/** Nodes of one kind and a process for their clients. Several cases may share a Redis. */
async function open(redis, { kind, nodes, options }) {
  cases += 1;
  const given = JSON.stringify({ kind, url: redis.url, name: `case-${cases}`, options });
  const servers = await Promise.all(Array.from({ length: nodes }, () => start("nodes-server.js", [given])));
  const clients = await start("nodes-clients.js");
  return {
    servers,
    clients,
    ports: servers.map(({ ready }) => ready.port),
    cpuSeconds: async () =>
      sum((await Promise.all(servers.map((server) => server.ask({ do: "cpu" })))).map((one) => one.cpuSeconds)),
    stop: () => Promise.all([...servers, clients].map((child) => child.stop())),
  };
}

/** Has every node send its share to all users, wherever they are; answers what one message cost, in microseconds. */
async function costOf(redis, { servers, clients, cpuSeconds }, ids, messages) {
  await cpuSeconds();
  const before = await redis.cpuSeconds();
  const share = messages / servers.length;
  const sending = servers.map((server, i) => server.ask({ do: "send", ids, messages: share, seed: i * 131 }));
  await Promise.all(sending);
  const { received } = await clients.ask({ do: "expect", messages });
  if (received !== messages) throw new Error(`${received} of ${messages} messages came.`);
  return {
    nodes: ((await cpuSeconds()) / messages) * 1e6,
    redis: (((await redis.cpuSeconds()) - before) / messages) * 1e6,
  };
}

/** CPU time per delivered message with more and more nodes. */
export async function cost({ redis, repeats, users, messages }) {
  const ids = names(users);
  const opened = [];
  for (const nodes of NODES) {
    for (const kind of KINDS) opened.push({ kind, nodes, costs: [], ...(await open(redis, { kind, nodes })) });
  }
  for (const { clients, ports } of opened) await clients.ask({ do: "connect", ports, ids });
  for (let round = -WARM_UPS; round < repeats; round += 1) {
    for (const one of opened) {
      const measured = await costOf(redis, one, ids, messages);
      if (round >= 0) one.costs.push(measured);
    }
  }
  for (const { stop } of opened) await stop();
  const of = (kind, nodes, part) =>
    median(opened.find((one) => one.kind === kind && one.nodes === nodes).costs.map((one) => one[part]));
  const rowOf = (kind, part, name) => [
    name,
    ...NODES.map((nodes) => of(kind, nodes, part).toFixed(0)),
    (of(kind, 8, part) / of(kind, 2, part)).toFixed(2),
  ];
  return [
    ["µs of CPU per delivered message, by nodes", ...NODES, "8 : 2"],
    ...KINDS.map((kind) => rowOf(kind, "nodes", NAMES[kind])),
    ...KINDS.map((kind) => rowOf(kind, "redis", `  Redis itself, ${NAMES[kind]}`)),
  ];
}

/** Latency from one node to users of others, at a rate that leaves room; and what a message costs there. */
export async function rate({ redis, repeats, users }) {
  const cases = [2, 8].flatMap((nodes) => KINDS.map((kind) => ({ kind, nodes, p50: [], p99: [], costs: [], rates: [] })));
  const ids = names(users);
  const messages = PER_SECOND * PACED_SECONDS;
  for (let round = 0; round < repeats; round += 1) {
    for (const { kind, nodes, ...measured } of cases) {
      const opened = await open(redis, { kind, nodes });
      const [sender] = opened.servers;
      await opened.clients.ask({ do: "connect", ports: opened.ports.slice(1), ids });
      for (const isWarm of [false, true]) {
        await opened.cpuSeconds();
        const { seconds } = await sender.ask({ do: "sendPaced", ids, messages, perSecond: PER_SECOND });
        await opened.clients.ask({ do: "expect", messages });
        const cpuSeconds = await opened.cpuSeconds();
        const { latenciesMs } = await opened.clients.ask({ do: "latencies" });
        if (!isWarm) continue;
        measured.p50.push(quantile(latenciesMs, 0.5));
        measured.p99.push(quantile(latenciesMs, 0.99));
        measured.costs.push((cpuSeconds / messages) * 1e6);
        measured.rates.push(messages / seconds);
      }
      await opened.stop();
    }
  }
  return [
    [`from one node to users of the others`, "nodes", "messages/s", "p50 ms", "p99 ms", "µs CPU each"],
    ...cases.map(({ kind, nodes, p50, p99, costs, rates }) => [
      NAMES[kind],
      nodes,
      median(rates).toFixed(0),
      median(p50).toFixed(1),
      median(p99).toFixed(1),
      median(costs).toFixed(0),
    ]),
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
    const opened = await open(redis, { kind, nodes: 2 });
    const [sender] = opened.servers;
    const ids = names(users);
    const count = async (what, by, act, per) => {
      const end = await redis.watch();
      await act();
      const counts = end();
      rows.push([`${NAMES[kind]}: ${what}`, (sum(Object.values(counts)) / per).toFixed(3), by, told(counts)]);
    };
    const come = () => opened.clients.ask({ do: "connect", ports: opened.ports.slice(1), ids });
    const comeAndGo = async () => {
      await come();
      await opened.clients.ask({ do: "leave" });
      await delay(SETTLE_MS);
    };
    // The first ones find an empty store and a server without the scripts.
    await comeAndGo();
    await count("connections made and lost", "connection", comeAndGo, users);
    await come();
    await delay(SETTLE_MS);
    const warm = () => sender.ask({ do: "sendEach", ids }).then(() => opened.clients.ask({ do: "expect", messages: users }));
    await warm();
    await delay(SETTLE_MS);
    const alone = async () => {
      await sender.ask({ do: "sendAlone", ids, messages: 500 });
      await opened.clients.ask({ do: "expect", messages: 500 });
    };
    await count("messages one by one", "message", alone, 500);
    await delay(SETTLE_MS);
    const paced = async () => {
      await sender.ask({ do: "sendPaced", ids, messages: PER_SECOND * 2, perSecond: PER_SECOND });
      await opened.clients.ask({ do: "expect", messages: PER_SECOND * 2 });
    };
    await count(`messages at ${PER_SECOND}/s`, "message", paced, PER_SECOND * 2);
    await delay(SETTLE_MS);
    if (kind !== "volatile")
      await count("idle connections", "connection and minute", () => delay(IDLE_MS), users * (IDLE_MS / 60_000));
    await opened.stop();
  }
  return rows;
}

/** How long the users of killed nodes are taken for present, with the library's own lease. */
export async function presence({ redis, repeats, users }) {
  const opened = await open(redis, { kind: "usercast", nodes: 1 + repeats });
  const [survivor, ...victims] = opened.servers;
  const seconds = [];
  // A node that has just come takes nobody for dead.
  await delay(LEASE_MS);
  for (const [i, victim] of victims.entries()) {
    const ids = names(Math.floor(users / 2), `of-${i}`);
    await opened.clients.ask({ do: "connect", ports: [victim.ready.port], ids });
    // At another moment of the lease each time.
    await delay((LEASE_MS / 3 / repeats) * i);
    const killedAt = performance.now();
    await victim.stop();
    while ((await survivor.ask({ do: "online", ids })).online > 0) await delay(100);
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
  const count = users * 2;
  const ids = names(count);
  const [connected, all] = [[], []];
  for (let round = 0; round < repeats; round += 1) {
    const opened = await open(redis, { kind: "usercast", nodes: 2 });
    const [survivor, victim] = opened.servers;
    await opened.clients.ask({ do: "connect", ports: [victim.ready.port], ids, sdk: true });
    await survivor.ask({ do: "sendEach", ids });
    await opened.clients.ask({ do: "expect", messages: count });
    await delay(SETTLE_MS);
    await victim.stop();
    await survivor.ask({ do: "sendEach", ids });
    const { connectedSeconds, seconds, received } = await opened.clients.ask({ do: "resume", port: survivor.ready.port, ids });
    if (received < count) throw new Error(`${received} of ${count} messages came.`);
    connected.push(connectedSeconds);
    all.push(seconds);
    await opened.stop();
  }
  return [
    [`${count} users of a killed node, at once`, "seconds"],
    ["registered at the surviving node", median(connected).toFixed(2)],
    ["and have what came meanwhile", median(all).toFixed(2)],
  ];
}
