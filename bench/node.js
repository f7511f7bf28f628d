// One of several nodes on one Redis, with as much of the standalone server's HTTP API as fault tests call.
// `node bench/node.js --redis-url redis://127.0.0.1:6379 [--port 0] [--broker '{"prefix":"b:"}'] [--usercast '{"leaseMs":5000}']`
//
// Several addresses are those of a cluster. Client and tests tell from the first line where it listens.
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { UsercastError, usercast } from "@usercast/server";
import { redis } from "@usercast/server/redis";
import { Server } from "socket.io";
import { locate } from "./redis.js";

const { values } = parseArgs({
  options: {
    "redis-url": { type: "string" },
    port: { type: "string", default: "0" },
    broker: { type: "string", default: "{}" },
    usercast: { type: "string", default: "{}" },
  },
});

const sdk = readFileSync(fileURLToPath(import.meta.resolve("@usercast/client/global")));
const broker = await redis({ ...locate(values["redis-url"]), ...JSON.parse(values.broker) });
const http = createServer();
const io = new Server(http);
const users = usercast(io, { trustClients: true, broker, ...JSON.parse(values.usercast) });
/** What was heard of users coming and going, with the time. */
const events = [];
for (const event of ["online", "offline"]) users.on(event, (userId) => events.push({ event, userId, at: Date.now() }));

const ROUTES = [
  [
    "POST",
    /^\/v1\/users\/([^/]+)\/messages$/,
    async (userId, request) => {
      const { event = "message", data } = JSON.parse(await text(request));
      const key = request.headers["idempotency-key"];
      const target = key === undefined ? users.to(userId) : users.to(userId).idempotencyKey(key);
      const { state, epoch, offset, at } = await target.emit(event, data);
      return { state, epoch, offset, at };
    },
  ],
  [
    "GET",
    /^\/v1\/users\/([^/]+)\/messages$/,
    async (userId, _, query) => users.mailbox(userId).read({ after: Number(query.get("after") ?? 0), limit: 1_000 }),
  ],
  [
    "GET",
    /^\/v1\/users\/([^/]+)$/,
    async (userId) => ({ ...(await users.presence(userId)), connections: await users.connections(userId) }),
  ],
  ["GET", /^\/events$/, async () => ({ events, ...(await users.stats()) })],
];

async function answer(request, response) {
  const { pathname, searchParams } = new URL(request.url, "http://localhost");
  if (pathname === "/usercast.js") return response.end(sdk);
  for (const [method, path, respond] of ROUTES) {
    const [matches, id = ""] = path.exec(pathname) ?? [];
    if (matches === undefined || method !== request.method) continue;
    response.setHeader("content-type", "application/json");
    try {
      return response.end(JSON.stringify(await respond(decodeURIComponent(id), request, searchParams)));
    } catch (thrown) {
      const error = UsercastError.from(thrown);
      return response.writeHead(error.status).end(JSON.stringify({ error }));
    }
  }
  return response.writeHead(404).end();
}

http.on("request", (request, response) => {
  // Socket.IO answers what is its own.
  if (!request.url.startsWith("/socket.io/")) void answer(request, response);
});
http.listen(Number(values.port), "127.0.0.1", () => console.log(`http://127.0.0.1:${http.address().port}`));
