// Durable sends alone: to users who are not there, by so many senders of whom each waits until its message is accepted.
import { startRedis } from "../redis.js";
import { aboutRow, alternate, measureFamilies, rateOf, startServer, userNames } from "../slices.js";
import { median } from "../stats.js";

const SENDERS = [1, 64, 1_000];

const ours = (broker) => ({ kind: "usercast", broker });

const ROWS = {
  "lmdb-by-hand": { title: "LMDB: put, flushed", server: { kind: "lmdbByHand" }, onDisk: true },
  lmdb: { title: "users.to(id).emit, LMDB", server: ours("lmdb"), onDisk: true },
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

async function open(row) {
  const redis = row.onRedis ? await startRedis() : undefined;
  const server = await startServer({ ...row.server, url: redis?.url });
  await server.ask({ do: "users", names: userNames(1_000) });
  const stop = async () => {
    await server.stop();
    await redis?.stop();
  };
  return { row, server, redis, stop };
}

async function measure({ row, server, redis }, ms, senders) {
  const redisBefore = await redis?.cpuSeconds();
  await server.ask({ do: "cpu" });
  const { sent, seconds, p50Micros, p99Micros, writtenBytes } = await server.ask({ do: "senders", senders, ms });
  const { cpuSeconds } = await server.ask({ do: "cpu" });
  const all = cpuSeconds + (redis === undefined ? 0 : (await redis.cpuSeconds()) - redisBefore);
  // Nothing else is written then, where there are no sockets.
  const written = row.onDisk ? { writtenBytes: writtenBytes / sent } : {};
  return { perCpuSecond: sent / all, perSecond: sent / seconds, server: all / seconds, p50Micros, p99Micros, ...written };
}

export const run = (families, settings) =>
  measureFamilies(families, ROWS, open, async (family, opened) => {
    settings.tell(FAMILIES[family].title);
    const senders = Number(family.split("-")[1]);
    const samples = await alternate(opened, { ...settings, family, warmUps: 1 }, (one, ms) => measure(one, ms, senders));
    return [...samples].map(([{ row }, slices]) => ({
      ...aboutRow(family, row),
      ...rateOf("messages", slices),
      p50Micros: median(slices.map(({ p50Micros }) => p50Micros)),
      p99Micros: median(slices.map(({ p99Micros }) => p99Micros)),
      ...(row.onDisk && { writtenBytes: median(slices.map(({ writtenBytes }) => writtenBytes)) }),
    }));
  });
