// A server of one kind. The load is a loop in it without timers, which lets the sockets have their turn after every step: it
// does what its parent asks and tells what that cost.
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { Session } from "node:inspector/promises";
import { createServer as createTriggers } from "node:net";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { setImmediate as turn } from "node:timers/promises";
import { answerWith } from "../children.js";
import { message, nowMicros, TRIGGER_BYTES } from "../payload.js";
import { sharesOf } from "../profile.js";
import { quantile } from "../stats.js";
import { KINDS } from "./kinds.js";

const { kind, ...settings } = JSON.parse(process.argv[2]);
const http = createServer();
const { send, sendToAll, fill = sendToAll, users, awaited = false } = await KINDS[kind](http, settings);

/** Messages to one user in one turn of the loop. */
const BURST = 50;
/** A step through the users that meets each once before it meets any again. */
const STRIDE = 7_919;

/** Messages that are stored at once. */
const FILLED_AT_ONCE = 1_000;

let ids = [];
let at = 0;
let number = 0;

const nextId = () => {
  at = (at + STRIDE) % ids.length;
  return ids[at];
};
const nextMessage = () => {
  number += 1;
  return message(number);
};

/** Each answers how many messages to a user it was; `sends` collects what is awaited. */
const STEPS = {
  /** One message to each of some users. */
  one(atOnce, sends) {
    for (let i = 0; i < atOnce; i += 1) sends.push(send(nextId(), nextMessage()));
    return atOnce;
  },
  /** Bursts to one user each. */
  burst(atOnce, sends) {
    const bursts = Math.max(1, Math.floor(atOnce / BURST));
    for (let i = 0; i < bursts; i += 1) {
      const id = nextId();
      for (let j = 0; j < BURST; j += 1) sends.push(send(id, nextMessage()));
    }
    return bursts * BURST;
  },
  /** One message to all users. */
  repeat(_, sends) {
    sends.push(sendToAll(ids, nextMessage()));
    return ids.length;
  },
};

const PROFILED_EVERY_MICROS = 200;
const session = new Session();

let loopDelay;
let mark;
/** Seconds of CPU since the last call, and how many of them in the system. */
function cpu() {
  const { user, system } = process.cpuUsage(mark);
  mark = process.cpuUsage();
  return { cpuSeconds: (user + system) / 1e6, systemSeconds: system / 1e6 };
}

/** Memory of the process's own, in bytes; where the system does not tell, all that is resident. */
function anonBytes() {
  try {
    return Number(/^RssAnon:\s+(\d+) kB$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1]) * 1_024;
  } catch {
    return process.memoryUsage.rss();
  }
}

/** Bytes the process has written so far, to files and sockets; nothing where the system does not tell. */
function writtenBytes() {
  try {
    return Number(/^wchar: (\d+)$/m.exec(readFileSync("/proc/self/io", "utf8"))?.[1]);
  } catch {
    return Number.NaN;
  }
}

/** What was sent because a trigger came, and how much of it was refused. */
let triggered = 0;
let refused = 0;

/** Sends a message for each number that comes: the time it was due, also where it came late. */
const triggers = createTriggers((socket) => {
  let rest = Buffer.alloc(0);
  socket.on("data", (bytes) => {
    const all = Buffer.concat([rest, bytes]);
    const whole = all.length - (all.length % TRIGGER_BYTES);
    for (let i = 0; i < whole; i += TRIGGER_BYTES) {
      triggered += 1;
      send(nextId(), message(all.readDoubleLE(i)))?.catch?.(() => {
        refused += 1;
      });
    }
    rest = all.subarray(whole);
  });
});
triggers.listen(0, "127.0.0.1");
await once(triggers, "listening");

answerWith({
  /** Whom this is about, and with whom to begin. */
  users({ names, from = 0 }) {
    ids = names;
    at = from;
  },
  /** Sends for so long, some at once. */
  async load({ step, ms, atOnce }) {
    const began = nowMicros();
    const until = began + ms * 1_000;
    let sent = 0;
    while (nowMicros() < until) {
      const sends = [];
      sent += STEPS[step](atOnce, sends);
      if (awaited) await Promise.all(sends);
      await turn();
    }
    return { sent, began };
  },
  /** Waits until so many triggers have come; tells how many of the sends were refused. */
  async triggered({ count }) {
    while (triggered < count) await turn();
    const told = { refused };
    triggered = 0;
    refused = 0;
    return told;
  },
  cpu,
  /** So many senders, each of whom sends again when its message was accepted. */
  async senders({ senders, ms }) {
    const writtenBefore = writtenBytes();
    const began = nowMicros();
    const until = began + ms * 1_000;
    const tookMicros = [];
    const sender = async () => {
      for (let from = nowMicros(); from < until; ) {
        await send(nextId(), nextMessage());
        const now = nowMicros();
        tookMicros.push(now - from);
        from = now;
      }
    };
    await Promise.all(Array.from({ length: senders }, sender));
    const seconds = (nowMicros() - began) / 1e6;
    const [p50Micros, p99Micros] = [0.5, 0.99].map((share) => quantile(tookMicros, share));
    return { sent: tookMicros.length, seconds, p50Micros, p99Micros, writtenBytes: writtenBytes() - writtenBefore };
  },
  /** Sends or stores so many messages for every user, some at once; tells the most memory that took. */
  async fill({ messages }) {
    const perStep = Math.max(1, Math.floor(FILLED_AT_ONCE / ids.length));
    let mostAnonBytes = 0;
    for (let i = 0; i < messages; i += perStep) {
      const count = Math.min(perStep, messages - i);
      await Promise.all(Array.from({ length: count }, () => fill(ids, nextMessage())));
      if (i % (perStep * 50) === 0) mostAnonBytes = Math.max(mostAnonBytes, anonBytes());
      await turn();
    }
    return { mostAnonBytes };
  },
  async profileFrom() {
    session.connect();
    await session.post("Profiler.enable");
    await session.post("Profiler.setSamplingInterval", { interval: PROFILED_EVERY_MICROS });
    await session.post("Profiler.start");
  },
  /** Keeps the profile in a file, and tells whose the time was. */
  async profileUntil({ file }) {
    const { profile } = await session.post("Profiler.stop");
    session.disconnect();
    writeFileSync(file, JSON.stringify(profile));
    return { shares: sharesOf(profile) };
  },
  delayFrom() {
    loopDelay = monitorEventLoopDelay({ resolution: 1 });
    loopDelay.enable();
  },
  delayUntil() {
    loopDelay.disable();
    return { loopP99Ms: loopDelay.percentile(99) / 1e6 };
  },
  /** Of every connection: the most that it was sent and has not confirmed. */
  async outstanding() {
    let most = 0;
    for (const name of ids) {
      for (const connection of await users.connections(name)) most = Math.max(most, connection.sent - connection.confirmed);
    }
    return { most };
  },
  /** Sends one message after the other, each when the last is accepted. */
  async alone({ messages }) {
    for (let i = 0; i < messages; i += 1) await send(nextId(), nextMessage());
  },
  /** How many of these are online, from this node's point of view. */
  async online({ names }) {
    return { online: (await users.presence(names)).filter(({ online }) => online).length };
  },
  /** What is in use after a collection. */
  async memory() {
    for (let i = 0; i < 5; i += 1) {
      globalThis.gc();
      await turn();
    }
    const { heapUsed, external, rss } = process.memoryUsage();
    return { heapBytes: heapUsed + external, residentBytes: rss };
  },
});

http.listen(0, "127.0.0.1", 4_096, () => process.send({ port: http.address().port, triggerPort: triggers.address().port }));
