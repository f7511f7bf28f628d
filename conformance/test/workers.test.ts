import { createHmac } from "node:crypto";
import { expect, test } from "vitest";
import { numbered } from "../support/order.ts";
import { owned, shared } from "../support/owned.ts";
import { NEWEST, type PlainClient, plainClient } from "../support/plain.ts";
import { RedisServer } from "../support/redis.ts";
import { steadyPort, TestServer } from "../support/server.ts";
import { until } from "../support/wait.ts";

// Several processes behind one port: to a client, one server.

const SECRET = "0123456789abcdef0123456789abcdef";
const API_KEY = "shop:0123456789abcdef";

const redis = shared(() => RedisServer.start());

async function startWorkers(count: number): Promise<TestServer> {
  const args = ["--workers", String(count), "--host", "127.0.0.1", "--lease-ms", "1500", "--presence-grace-ms", "0"];
  const env = { USERCAST_JWT_SECRET: SECRET, USERCAST_API_KEYS: API_KEY };
  return owned(await TestServer.start({ command: "serve", port: await steadyPort(), redisUrl: redis().url, args, env }));
}

function tokenOf(userId: string): string {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  const signed = `${part({ alg: "HS256" })}.${part({ sub: userId, exp: Math.floor(Date.now() / 1_000) + 3_600 })}`;
  return `${signed}.${createHmac("sha256", SECRET).update(signed).digest("base64url")}`;
}

async function call(server: TestServer, path: string, init: RequestInit = {}): Promise<Record<string, unknown>> {
  const headers = { authorization: `Bearer ${API_KEY}`, "content-type": "application/json", connection: "close" };
  const response = await fetch(`${server.url}/v1/${path}`, { ...init, headers });
  return { status: response.status, ...((await response.json()) as object) };
}

const send = (server: TestServer, userId: string, data: unknown): Promise<Record<string, unknown>> =>
  call(server, `users/${userId}/messages`, { method: "POST", body: JSON.stringify({ data }) });

const isStarted = async (server: TestServer, count: number): Promise<void> =>
  void (await until(`${count} workers listen`, () => server.log.split('"msg":"listening"').length - 1 > count));

/** What a process wrote comes by a pipe: after it was said elsewhere that it listens, and after its end, too. */
const logs = async (server: TestServer, text: string): Promise<void> =>
  void (await until(`the log says ${text}`, () => server.log.includes(text)));

/** Clients of one user each, half of them on each of two workers: new connections go to them in turn, if none comes in between. */
async function connectUsers(server: TestServer, names: readonly string[]): Promise<readonly PlainClient[]> {
  const clients: PlainClient[] = [];
  for (const name of names) {
    const client = plainClient(NEWEST, server.url, tokenOf(name), { transports: ["websocket"] });
    clients.push(client);
    await until(`${name} is connected`, () => client.socket.connected);
  }
  await until("all are there", async () => (await call(server, "stats"))["connections"] === names.length);
  return clients;
}

test("clients of either worker get what is sent to either, also after one of them was killed", async () => {
  const server = await startWorkers(2);
  await isStarted(server, 2);
  const names = ["ana", "bo", "cy", "di"];
  const clients = await connectUsers(server, names);
  // Each call is a connection of its own, so that it reaches a worker of its own.
  const sent = numbered("before", 10);
  for (const data of sent) for (const name of names) expect(await send(server, name, data)).toMatchObject({ state: "pushed" });
  await until("all came", () => clients.every((client) => client.received().length === 10));

  const before = server.workers;
  expect(before).toHaveLength(2);
  process.kill(before[0] ?? 0, "SIGKILL");
  await until(
    "half of the clients have come back",
    () => clients.filter(({ connections }) => connections.length > 1).length === 2,
  );
  for (const name of names) await send(server, name, "after");
  await until("that came, too", () => clients.every((client) => client.received().includes("after")));
  for (const client of clients) expect([...new Set(client.received())]).toEqual([...sent, "after"]);

  await logs(server, "took the place");
  expect(server.workers).toHaveLength(2);
  expect(server.workers).toContain(before[1]);
  await until("who is dead has no connections", async () => (await call(server, "stats"))["connections"] === names.length);
});

test("clients that poll are refused, and the log says what to do", async () => {
  const server = await startWorkers(2);
  await logs(server, 'transports: [\\"websocket\\"]');
  const polling = await fetch(`${server.url}/socket.io/?EIO=4&transport=polling`);
  expect([polling.status, await polling.json()]).toEqual([400, { code: 0, message: "Transport unknown" }]);
});

test("a stop is one of all of them, and lets every client go", async () => {
  const server = await startWorkers(2);
  const clients = await connectUsers(server, ["ed", "flo"]);
  const workers = server.workers;
  expect(await server.stop()).toBe(0);
  for (const pid of workers) expect(() => process.kill(pid, 0)).toThrow("ESRCH");
  await until("the clients know", () => clients.every(({ socket }) => !socket.connected));
});

test("whoever ends the first process ends the workers, too", async () => {
  const server = await startWorkers(2);
  const workers = server.workers;
  await server.kill();
  const isAlive = (pid: number): boolean => {
    try {
      return process.kill(pid, 0);
    } catch {
      return false;
    }
  };
  await until("none is left", () => !workers.some(isAlive));
});

test("a place that loses its worker again and again ends all, and says so", async () => {
  const server = await startWorkers(2);
  await isStarted(server, 2);
  const [steady] = server.workers;
  await until("it has given up", () => {
    for (const pid of server.workers) if (pid !== steady) process.kill(pid, "SIGKILL");
    return !server.alive;
  });
  expect(server.exitCode).toBe(1);
  await logs(server, "again and again");
});

test("a worker that dies while Redis is away is replaced when that is back, and the others keep their clients", async () => {
  const own = owned(await RedisServer.start());
  const args = ["--workers", "2", "--host", "127.0.0.1"];
  const env = { USERCAST_JWT_SECRET: SECRET, USERCAST_API_KEYS: API_KEY };
  const port = await steadyPort();
  const server = owned(await TestServer.start({ command: "serve", port, redisUrl: own.url, args, env }));
  await isStarted(server, 2);
  const clients = await connectUsers(server, ["gus", "hal"]);
  await own.kill();
  process.kill(server.workers[0] ?? 0, "SIGKILL");
  await until("a replacement was tried", () => server.workers.length === 2);
  await until("it could not start", () => server.workers.length === 1);
  expect(clients.filter(({ socket, connections }) => socket.connected && connections.length === 1)).toHaveLength(1);
  await own.restart();
  await logs(server, "took the place");
  await until("both are there", async () => (await call(server, "stats"))["users"] === 2);
});
