// The server of one case: it does what its parent asks and tells what that cost.
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import { memory, usercast } from "@usercast/server";
import { lmdb } from "@usercast/server/lmdb";
import { Server } from "socket.io";

const [kind] = process.argv.slice(2);
const http = createServer();
const io = new Server(http);
const payload = "x".repeat(88);
/** Sends under way at once, where they are awaited. */
const AT_ONCE = 1_000;

let send;
if (kind === "seed") {
  const map = new Map();
  io.on("connection", (socket) => {
    socket.on("register", (id, answer) => {
      map.set(id, socket.id);
      answer?.();
    });
  });
  send = (id, data) => io.to(map.get(id)).emit("message", data);
} else if (kind !== "bare") {
  const path = mkdtempSync(join(tmpdir(), "usercast-figures-"));
  process.on("exit", () => rmSync(path, { recursive: true, force: true }));
  const broker = kind === "lmdb" ? await lmdb({ path }) : memory({ quiet: true, maxMailboxMessages: 1_000 });
  const users = usercast(io, { trustClients: true, broker });
  send =
    kind === "volatile"
      ? (id, data) => users.to(id).volatile.emit("message", data)
      : (id, data) => users.to(id).emit("message", data);
}

let mark;
const cpuSeconds = () => {
  const { user, system } = process.cpuUsage(mark);
  mark = process.cpuUsage();
  return (user + system) / 1e6;
};

const answers = {
  async send({ users, messages }) {
    cpuSeconds();
    const durable = kind === "memory" || kind === "lmdb";
    // One turn sends to many, as a busy server's does; what is durable is awaited, what is not is given time to be written.
    for (let sent = 0; sent < messages; sent += AT_ONCE) {
      const batch = [];
      for (let i = sent; i < Math.min(sent + AT_ONCE, messages); i += 1)
        batch.push(send(`user-${(i * 7919) % users}`, { n: i, payload }));
      if (durable) await Promise.all(batch);
      await turn();
    }
    return { cpuSeconds: cpuSeconds() };
  },
  tail: async () => ({ tailSeconds: cpuSeconds() }),
  async memory() {
    for (let i = 0; i < 5; i += 1) {
      globalThis.gc();
      await turn();
    }
    return { heapUsed: process.memoryUsage().heapUsed };
  },
};

process.on("message", async (question) => process.send(await answers[question.do](question)));
process.on("SIGTERM", () => process.exit(0));
http.listen(0, "127.0.0.1", () => process.send({ port: http.address().port }));
