// Durable sends alone: to users who are not there, by so many senders of whom each waits until its message is accepted.
import { startRedis } from "../redis.js";
import { alternate, isOurs, startServer, userNames } from "../slices.js";
import { median, spread } from "../stats.js";

const SENDERS = [1, 64, 1_000];

const ours = (broker) => ({ kind: "usercast", broker });

const ROWS = {
  "lmdb-by-hand": { title: "LMDB: put, flushed", server: { kind: "lmdbByHand" } },
  lmdb: { title: "users.to(id).emit, LMDB", server: ours("lmdb") },
  "redis-by-hand": { title: "Redis: XADD, pipelined", server: { kind: "redisByHand" }, onRedis: true },
  redis: { title: "users.to(id).emit, Redis", server: ours("redis"), onRedis: true },
  memory: { title: "users.to(id).emit, memory", server: ours("memory") },
};

export const FAMILIES = Object.fromEntries(
  SENDERS.map((count) => [
    `publish-${count}`,
    { title: `Durable sends to users who are away, ${count.toLocaleString("en-US")} at once`, rows: Object.keys(ROWS) },
  ]),
);

async function open(name) {
  const row = { name, ...ROWS[name] };
  const redis = row.onRedis ? await startRedis() : undefined;
  const server = await startServer({ ...row.server, url: redis?.url });
  await server.ask({ do: "users", names: userNames(1_000) });
  const stop = async () => {
    await server.stop();
    await redis?.stop();
  };
  return { row, server, redis, stop };
}

async function measure({ server, redis }, ms, senders) {
  const redisBefore = await redis?.cpuSeconds();
  await server.ask({ do: "cpu" });
  const { sent, seconds, p50Micros, p99Micros } = await server.ask({ do: "senders", senders, ms });
  const { cpuSeconds } = await server.ask({ do: "cpu" });
  const all = cpuSeconds + (redis === undefined ? 0 : (await redis.cpuSeconds()) - redisBefore);
  return { perCpuSecond: sent / all, perSecond: sent / seconds, server: all / seconds, p50Micros, p99Micros };
}

export async function run(families, settings) {
  const chosen = Object.keys(ROWS).filter((name) => Object.values(families).some((rows) => rows.includes(name)));
  const opened = [];
  try {
    for (const name of chosen) opened.push(await open(name));
    const cases = [];
    for (const [family, names] of Object.entries(families)) {
      settings.tell(FAMILIES[family].title);
      const senders = Number(family.split("-")[1]);
      const taken = opened.filter(({ row }) => names.includes(row.name));
      const samples = await alternate(taken, { ...settings, family, warmUps: 1 }, (one, ms) => measure(one, ms, senders));
      for (const [{ row }, slices] of samples) {
        const of = (part) => slices.map((one) => one[part]);
        cases.push({
          family,
          row: row.name,
          title: row.title,
          isOurs: isOurs(row),
          unit: "messages per CPU second",
          ...spread(of("perCpuSecond")),
          messagesPerSecond: median(of("perSecond")),
          serverUtilisation: median(of("server")),
          p50Micros: median(of("p50Micros")),
          p99Micros: median(of("p99Micros")),
        });
      }
    }
    return cases;
  } finally {
    for (const { stop } of opened) await stop();
  }
}
