// The server of the crowds of stalled.js, catch-up.js and acks.js: does what its parent asks and tells what that cost.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { setTimeout as delay, setImmediate as turn } from "node:timers/promises";
import { memory, usercast } from "@usercast/server";
import { lmdb } from "@usercast/server/lmdb";
import { Server } from "socket.io";
import { answerWith } from "./children.js";

const { broker: kind, usercastOptions = {} } = JSON.parse(process.argv[2]);

const path = mkdtempSync(join(tmpdir(), "usercast-crowd-"));
process.on("exit", () => rmSync(path, { recursive: true, force: true }));
/** More than is ever sent here, so that nothing is trimmed. */
const limits = { maxMailboxMessages: 1_000_000, maxMailboxBytes: 2 ** 40, maxTotalBytes: 2 ** 45 };
const broker = kind === "lmdb" ? await lmdb({ path, ...limits }) : memory({ quiet: true, ...limits });

const http = createServer();
// Who reads nothing answers no heartbeat either: it is to stay connected as long as this takes.
const io = new Server(http, { pingInterval: 3_600_000, pingTimeout: 3_600_000 });
const users = usercast(io, { trustClients: true, broker, maxPendingSends: 100_000, ...usercastOptions });

/** Messages for one user after the other, under way at once. */
const AT_ONCE = 1_000;
const payload = "x".repeat(80);
/** How many messages each user was sent: they are numbered. */
let sent = 0;

const now = () => performance.timeOrigin + performance.now();
const userNames = (count) => Array.from({ length: count }, (_, i) => `user-${i}`);

let cpuMark;
let loopDelay;
let live;

async function settle() {
  for (let i = 0; i < 5; i += 1) {
    globalThis.gc();
    await turn();
  }
}

answerWith({
  /** Sends `messages` to each of the first `users` users, in one call for all. Tells the seconds, and the most memory it took. */
  async send({ users: count, messages }) {
    const names = userNames(count);
    const began = performance.now();
    const perTurn = Math.max(1, Math.floor(AT_ONCE / count));
    let mostAnonBytes = 0;
    for (let i = 0; i < messages; i += perTurn) {
      const batch = [];
      for (let j = i; j < Math.min(i + perTurn, messages); j += 1) {
        sent += 1;
        batch.push(users.to(names).emit("message", { n: sent, payload }));
      }
      await Promise.all(batch);
      if (i % (perTurn * 50) === 0) mostAnonBytes = Math.max(mostAnonBytes, anonBytes());
      await turn();
    }
    return { seconds: (performance.now() - began) / 1_000, mostAnonBytes };
  },
  async memory() {
    await settle();
    const { heapUsed, external } = process.memoryUsage();
    return { bytes: heapUsed + external };
  },
  /** Of every connection: the most that it was sent and has not confirmed. */
  async outstanding({ users: count }) {
    let most = 0;
    for (const name of userNames(count)) {
      for (const connection of await users.connections(name)) most = Math.max(most, connection.sent - connection.confirmed);
    }
    return { most };
  },
  cpu() {
    const { user, system } = process.cpuUsage(cpuMark);
    cpuMark = process.cpuUsage();
    return { cpuSeconds: (user + system) / 1e6 };
  },
  /** Begins to send one user a message every few milliseconds. */
  liveFrom({ everyMs }) {
    const abort = new AbortController();
    live = { abort };
    void (async () => {
      for (let n = 1; !abort.signal.aborted; n += 1) {
        await users.to("live").emit("message", { n, at: now() });
        await delay(everyMs);
      }
    })();
  },
  liveUntil() {
    live?.abort.abort();
  },
  delayFrom() {
    loopDelay = monitorEventLoopDelay({ resolution: 1 });
    loopDelay.enable();
  },
  delayUntil() {
    loopDelay.disable();
    return { p50Ms: loopDelay.percentile(50) / 1e6, p99Ms: loopDelay.percentile(99) / 1e6, maxMs: loopDelay.max / 1e6 };
  },
});

/** Memory of the process's own, in bytes; where the system does not tell, all that is resident. */
function anonBytes() {
  try {
    return Number(/^RssAnon:\s+(\d+) kB$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1]) * 1_024;
  } catch {
    return process.memoryUsage.rss();
  }
}

process.on("SIGTERM", () => process.exit(0));
process.on("disconnect", () => process.exit(0));
http.listen(0, "127.0.0.1", () => process.send({ port: http.address().port }));
