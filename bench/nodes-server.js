// One node of a case of nodes.js: does what its parent asks and tells what that cost.
import { createServer } from "node:http";
import { setTimeout as delay, setImmediate as turn } from "node:timers/promises";
import { createAdapter, createShardedAdapter } from "@socket.io/redis-adapter";
import { usercast } from "@usercast/server";
import { redis } from "@usercast/server/redis";
import { Redis } from "ioredis";
import { Server } from "socket.io";
import { answerWith } from "./children.js";

const { kind, url, name, options = {} } = JSON.parse(process.argv[2]);
const http = createServer();
const payload = "x".repeat(80);
/** Sends under way at once, where they are awaited. */
const AT_ONCE = 1_000;
/** Between two groups of messages that are sent at a rate. */
const STEP_MS = 5;

let send;
let users;
if (kind === "classic" || kind === "sharded") {
  const [pub, sub] = [new Redis(url), new Redis(url)];
  const adapter =
    kind === "classic" ? createAdapter(pub, sub, { key: name }) : createShardedAdapter(pub, sub, { channelPrefix: name });
  const io = new Server(http, { adapter });
  // The seed's map, on many nodes: a room for each user.
  io.on("connection", (socket) => {
    socket.on("register", async (id, answer) => {
      await socket.join(`user:${id}`);
      answer?.();
    });
  });
  send = (id, data) => io.to(`user:${id}`).emit("message", data);
} else {
  const broker = await redis({ url, prefix: `${name}:`, maxMailboxMessages: 1_000 });
  users = usercast(new Server(http), { trustClients: true, broker, ...options });
  const to = (id) => (kind === "volatile" ? users.to(id).volatile : users.to(id));
  send = (id, data) => to(id).emit("message", data);
}

const now = () => Number(process.hrtime.bigint()) / 1e6;

let mark;
answerWith({
  cpu() {
    const { user, system } = process.cpuUsage(mark);
    mark = process.cpuUsage();
    return { cpuSeconds: (user + system) / 1e6 };
  },
  /** Sends so many messages to all users in turn, as fast as they are accepted. */
  async send({ ids, messages, seed }) {
    for (let sent = 0; sent < messages; sent += AT_ONCE) {
      const batch = [];
      for (let i = sent; i < Math.min(sent + AT_ONCE, messages); i += 1)
        batch.push(send(ids[(i * 7919 + seed) % ids.length], { n: i, payload }));
      await Promise.all(batch);
      await turn();
    }
  },
  /** Sends one message after the other, each when the last is accepted. */
  async sendAlone({ ids, messages }) {
    for (let i = 0; i < messages; i += 1) await send(ids[i % ids.length], { n: i, payload });
  },
  /** Sends at a rate, and tells each message when it was sent. */
  async sendPaced({ ids, messages, perSecond }) {
    const began = now();
    for (let sent = 0; sent < messages; ) {
      const due = Math.min(messages, ((now() - began) / 1_000) * perSecond);
      for (; sent < due; sent += 1) void send(ids[sent % ids.length], { n: sent, payload, at: now() });
      await delay(STEP_MS);
    }
    return { seconds: (now() - began) / 1_000 };
  },
  async sendEach({ ids }) {
    await Promise.all(ids.map((id) => send(id, { n: 1, payload })));
  },
  /** How many of these are online, from this node's point of view. */
  async online({ ids }) {
    return { online: (await users.presence(ids)).filter(({ online }) => online).length };
  },
});

process.on("disconnect", () => process.exit(0));
http.listen(0, "127.0.0.1", () => process.send({ port: http.address().port }));
