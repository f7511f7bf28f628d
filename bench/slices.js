// A server with its receivers, and what a slice of load on it comes to.
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { start } from "./children.js";
import { startRedis } from "./redis.js";
import { median, quantile, spread } from "./stats.js";

/** Longer than an SDK gathers confirmations and the server cursors after them: what they cost belongs to the messages. */
const SETTLE_MS = 350;

export const userNames = (count) => Array.from({ length: count }, (_, i) => `user-${i}`);

/** A server of one kind. */
export const startServer = (settings) =>
  start("processes/server.js", { args: [JSON.stringify(settings)], side: "server", node: ["--expose-gc"] });

/** Starts the server of a row, and its receivers with all connections; those of a thousand users, one each, where nothing else is said. */
export async function openRow(row, { users = 1_000, perUser = 1, isOrdered = false } = {}) {
  const redis = row.server.broker === "redis" ? await startRedis() : undefined;
  const server = await (row.start?.() ?? startServer({ ...row.server, url: redis?.url }));
  const receivers = await start("processes/crowd.js");
  const names = userNames(users);
  const { wire, confirms } = row;
  await receivers.ask({ do: "connect", port: server.ready.port, wire, confirms, names, perUser, isOrdered });
  await server.ask({ do: "users", names });
  return {
    row,
    server,
    receivers,
    redis,
    perUser,
    async stop() {
      await receivers.stop();
      await server.stop();
      await redis?.stop();
    },
  };
}

/**
 * Opens every row that one of these families needs, measures one family after the other, and stops the rows.
 * @param families names of rows by names of families
 * @param rows all there are, by name, in the order in which they take turns
 * @param measure answers the cases of a family; given its name and what was opened of it
 */
export async function measureFamilies(families, rows, open, measure) {
  const isWanted = (name) => Object.values(families).some((names) => names.includes(name));
  const opened = [];
  try {
    for (const [name, row] of Object.entries(rows)) if (isWanted(name)) opened.push(await open({ name, ...row }));
    const cases = [];
    for (const [family, names] of Object.entries(families)) {
      const some = opened.filter(({ row }) => names.includes(row.name));
      cases.push(...(await measure(family, some)));
    }
    return cases;
  } finally {
    for (const { stop } of opened) await stop();
  }
}

/**
 * Has messages sent, and waits until everything was received and confirmed. Throws where a message was lost or came twice.
 * @param drive sends them, and tells how many were `sent` and when it `began`; the server's CPU time counts from then on
 */
export async function slice({ row, server, receivers, redis, perUser }, drive, { latencies = false } = {}) {
  await receivers.ask({ do: "begin", latencies });
  const redisBefore = await redis?.cpuSeconds();
  await server.ask({ do: "cpu" });
  const { sent, began, refused } = await drive();
  const count = sent * perUser;
  const { lastMicros, utilisation } = await receivers.ask({ do: "expect", count });
  const busy = await server.ask({ do: "cpu" });
  if (row.wire === "sdk" && row.isDurable) await delay(SETTLE_MS);
  const after = await server.ask({ do: "cpu" });
  const ofServer = busy.cpuSeconds + after.cpuSeconds;
  const ofRedis = redis === undefined ? 0 : (await redis.cpuSeconds()) - redisBefore;
  const { received, outOfOrder, latenciesMicros } = await receivers.ask({ do: "counts" });
  if (received !== count || outOfOrder > 0) {
    throw new Error(`${row.name}: of ${count} messages ${received} came, ${outOfOrder} of them out of order.`);
  }
  const seconds = (lastMicros - began) / 1e6;
  return {
    perCpuSecond: count / (ofServer + ofRedis),
    serversMicros: (ofServer / count) * 1e6,
    redisMicros: (ofRedis / count) * 1e6,
    perSecond: count / seconds,
    server: (busy.cpuSeconds + ofRedis) / seconds,
    inSystem: (busy.systemSeconds + after.systemSeconds) / ofServer,
    receivers: utilisation,
    refused,
    latenciesMicros,
  };
}

/** How much longer than others a slice is in which time is taken, so that there are messages enough for a percentile; and less long before it counts. */
const LATENCY_FACTOR = 2;
export const timedMs = (ms, round) => (round < 0 ? ms : ms * LATENCY_FACTOR);

/** The same, with how long messages took from when they were due. */
export async function timedSlice(one, drive) {
  const { latenciesMicros, ...measured } = await slice(one, drive, { latencies: true });
  const [p50, p99, p999] = [0.5, 0.99, 0.999].map((share) => quantile(latenciesMicros, share));
  return { ...measured, p50, p99, p999 };
}

/** How much longer those slices are that come first and do not count, until everything is compiled. */
const WARM_UP_FACTOR = 3;
/** How much longer the one is that is profiled. */
const PROFILE_FACTOR = 5;

/**
 * Has each do its slice in turn, again and again, so that a machine whose speed drifts is unfair to none.
 * @param measure does the slice of one, of so many milliseconds; also given the number of the round, which is negative where it does not count
 */
export async function alternate(opened, { family, repeats, warmUps, sliceMs, profiles }, measure) {
  const samples = new Map(opened.map((one) => [one, []]));
  for (let round = -warmUps; round < repeats; round += 1) {
    for (const one of opened) {
      const measured = await measure(one, round < 0 ? sliceMs * WARM_UP_FACTOR : sliceMs, round);
      if (round >= 0) samples.get(one).push(measured);
    }
  }
  // Being watched costs, so it is one more slice, and no figure.
  for (const one of profiles === undefined ? [] : opened.filter(({ server }) => server.pid !== undefined)) {
    await one.server.ask({ do: "profileFrom" });
    await measure(one, sliceMs * PROFILE_FACTOR, repeats);
    const file = join(profiles.folder, `${family}-${one.row.name}.cpuprofile`);
    const { shares } = await one.server.ask({ do: "profileUntil", file });
    profiles.tell(`${family}, ${one.row.title}`, shares);
  }
  return samples;
}

/** Whether Usercast is what is measured, and not what it is compared with. */
const isOurs = ({ server, start }) => server?.kind === "usercast" || server?.over === "usercast" || start !== undefined;

/** What a row of a family is, as it is reported. */
export const aboutRow = (family, row) => ({
  family,
  row: row.name,
  title: row.title,
  client: row.wire,
  isOurs: isOurs(row),
});

/** The part of a row's report that all have whose server was at work: the figure, and what is told beside it. */
const figureOf = (unit, figures, slices) => ({
  unit,
  ...spread(figures),
  messagesPerSecond: median(slices.map(({ perSecond }) => perSecond)),
  serverUtilisation: median(slices.map(({ server }) => server)),
});

/** The same where the figure is what a second of the server's CPU time does. */
export const rateOf = (things, slices) =>
  figureOf(
    `${things} per CPU second`,
    slices.map(({ perCpuSecond }) => perCpuSecond),
    slices,
  );

/** The rows of a family that was measured, as they are reported. */
export const casesOf = (family, samples) =>
  [...samples].map(([{ row }, slices]) => ({
    ...aboutRow(family, row),
    ...rateOf("messages", slices),
    systemShare: median(slices.map(({ inSystem }) => inSystem)),
    clientUtilisation: median(slices.map(({ receivers }) => receivers)),
  }));

/** The same for rows whose figure is the time that messages took. */
export const timedCasesOf = (family, samples, name = () => ({})) =>
  [...samples].map(([one, slices]) => ({
    ...aboutRow(family, one.row),
    ...name(one),
    ...figureOf(
      "µs, p99",
      slices.map(({ p99 }) => p99),
      slices,
    ),
    refused: median(slices.map(({ refused = 0 }) => refused)) || undefined,
    p50Micros: median(slices.map(({ p50 }) => p50)),
    p999Micros: median(slices.map(({ p999 }) => p999)),
  }));
