// Messages that the server itself sends to its users: one by one, in bursts, one to many, to several connections; and how long they take.
import { alternate, casesOf, measureFamilies, openRow, slice, timedCasesOf, timedMs, timedSlice } from "../slices.js";
import { median } from "../stats.js";

/** Sends under way at once: in a turn of the loop; and where each waits for a disk or another process. */
const IN_A_TURN = 64;
const UNDER_WAY = 1_000;

const ours = (broker, isVolatile = false) => ({ kind: "usercast", broker, isVolatile });
const durable = { isDurable: true };
/** For clients that never confirm, a window without end. */
const endless = (broker) => ({ ...ours(broker), options: { windowMessages: 1_000_000, windowBytes: 2 ** 40 } });

const ROWS = {
  seed: { title: "io.to(map.get(id)).emit", wire: "plain", server: { kind: "seed" } },
  "seed-sets": { title: "io.to([...map.get(id)]).emit", wire: "plain", server: { kind: "seedOfSets" } },
  room: { title: "io.to('user:' + id).emit", wire: "plain", server: { kind: "room" } },
  "raw-send": { title: "ws.send(JSON.stringify(…))", wire: "raw", server: { kind: "rawSend" } },
  "raw-frame": { title: "ws, own frame in one write", wire: "raw", server: { kind: "rawFrame" } },
  "raw-joined": { title: "ws, own frames of a turn in one write", wire: "raw", server: { kind: "rawJoined" } },
  volatile: { title: "users.to(id).volatile.emit", wire: "sdk", server: ours("memory", true) },
  "volatile-plain": { title: "users.to(id).volatile.emit", wire: "plain", server: ours("memory", true) },
  memory: { title: "users.to(id).emit, memory", wire: "sdk", server: ours("memory"), ...durable },
  "memory-plain": { title: "users.to(id).emit, memory", wire: "plain", server: ours("memory"), ...durable },
  lmdb: { title: "users.to(id).emit, LMDB", wire: "sdk", server: ours("lmdb"), atOnce: UNDER_WAY, ...durable },
  "memory-silent": { title: "memory, never confirmed", wire: "sdk", server: endless("memory"), confirms: false, ...durable },
  "lmdb-silent": {
    title: "LMDB, never confirmed",
    wire: "sdk",
    server: endless("lmdb"),
    confirms: false,
    atOnce: UNDER_WAY,
    ...durable,
  },
  redis: { title: "users.to(id).emit, Redis", wire: "sdk", server: ours("redis"), atOnce: UNDER_WAY, ...durable },
};

const raw = ["raw-send", "raw-frame"];
const all = ["seed", "room", ...raw, "volatile", "memory", "lmdb", "redis"];

/** At what rates latency is measured: so many a second, or half of what the seed's server can. */
const RATES = { 2000: 2_000, half: undefined };
const TIMED = ["seed", "raw-send", "volatile", "memory"];

export const FAMILIES = {
  one: { title: "One message to one of 1,000 users", rows: [...all, "volatile-plain", "memory-plain"] },
  burst: { title: "Bursts of 50 to one user", rows: [...all, "raw-joined"] },
  repeat: { title: "One message to 1,000 users at once", rows: all.filter((row) => row !== "redis") },
  latency: {
    title: "Latency, p99, at a fixed rate",
    // A disk has not flushed by then what it is given at the higher rate.
    rows: [...TIMED.flatMap((row) => Object.keys(RATES).map((rate) => `${row}-${rate}`)), "lmdb-2000"],
  },
  confirmations: {
    title: "What confirmations cost",
    rows: ["memory-silent", "memory", "lmdb-silent", "lmdb"],
    isExtra: true,
  },
  five: {
    title: "One message to a user with 5 connections",
    rows: ["seed-sets", ...all.slice(1)],
  },
};

/** How the server sends, where that is not what the family is called. */
const STEPS = { five: "one", confirmations: "one" };
/** 1,000 connections again. */
const FIVE = { users: 200, perUser: 5 };

const load = (step) => (one, ms) =>
  slice(one, () => one.server.ask({ do: "load", step, ms, atOnce: one.row.atOnce ?? IN_A_TURN }));

/** Messages at a rate. A server that cannot keep it refuses some. */
const atRate = (one, ms, perSecond) =>
  timedSlice(one, async () => {
    const { sent, began } = await one.receivers.ask({ do: "trigger", port: one.server.ready.triggerPort, ms, perSecond });
    const { refused } = await one.server.ask({ do: "triggered", count: sent });
    return { sent: sent - refused, began, refused };
  });

/** Every row at every rate that was asked for. */
async function latency(opened, settings, names) {
  const seed = opened.find(({ row }) => row.name === "seed");
  let half;
  if (names.some((name) => name.endsWith("-half"))) {
    const saturated = await alternate([seed], { ...settings, repeats: 5, profiles: undefined }, load("one"));
    half = median(saturated.get(seed).map(({ perSecond }) => perSecond)) / 2;
  }
  const cases = [];
  for (const [rateName, rate] of Object.entries(RATES)) {
    const timed = opened.filter(({ row }) => names.includes(`${row.name}-${rateName}`));
    const perSecond = Math.round(rate ?? half);
    const samples = await alternate(timed, { ...settings, family: `latency-${rateName}`, warmUps: 1 }, (one, ms, round) =>
      atRate(one, timedMs(ms, round), perSecond),
    );
    const name = ({ row }) => ({ row: `${row.name}-${rateName}`, title: `${row.title}, ${perSecond}/s` });
    cases.push(...timedCasesOf("latency", samples, name));
  }
  return cases;
}

/** Opens what these families need, and measures one after the other. */
function onServers(families, settings, crowd) {
  // Rows of latencies have their rate behind their name.
  const withoutRates = (rows) => rows.map((row) => row.replace(/-(?:\d+|half)$/, ""));
  const needed = Object.fromEntries(Object.entries(families).map(([family, rows]) => [family, withoutRates(rows)]));
  const open = (row) => openRow(row, { ...crowd, isOrdered: true });
  return measureFamilies(needed, ROWS, open, async (family, opened) => {
    settings.tell(FAMILIES[family].title);
    if (family === "latency") return latency(opened, settings, families[family]);
    return casesOf(family, await alternate(opened, { ...settings, family }, load(STEPS[family] ?? family)));
  });
}

/** @param families names of rows by names of families */
export async function run({ five, ...others }, settings) {
  const cases = Object.keys(others).length === 0 ? [] : await onServers(others, settings);
  return five === undefined ? cases : [...cases, ...(await onServers({ five }, settings, FIVE))];
}
