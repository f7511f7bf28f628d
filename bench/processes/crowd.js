// Many clients in one process: they count what comes, send to each other, or come all at once to catch up.
import { once } from "node:events";
import { connect } from "node:net";
import { setTimeout as delay, setImmediate as turn } from "node:timers/promises";
import { answerWith } from "../children.js";
import { openAll } from "../clients.js";
import { HttpCaller } from "../http-caller.js";
import { message, nowMicros, numberOf, TRIGGER_BYTES } from "../payload.js";

/** How long nothing may come before what is missing counts as lost. */
const SILENCE_MS = 3_000;
/** How often is looked whether all has come. */
const LOOK_MS = 1;
/** A step through the users that meets each once before it meets any again. */
const STRIDE = 7_919;
/** As long as those that the SDK makes. */
const KEY_LENGTH = 22;

let clients = [];
let users = [];
/** Epochs of mailboxes, by user, as the first connections were told them. */
const epochs = new Map();
/** What broken connections were told to be recovered by, by user. */
const sessions = new Map();
let received = 0;
let answers = 0;
let latenciesMicros;
let mark;
/** Called for each message while clients send to each other. */
let onNext;

const onMessage = (bytes, end) => {
  received += 1;
  if (latenciesMicros !== undefined) latenciesMicros.push(nowMicros() - numberOf(bytes, end));
  onNext?.();
};

const OK = '[{"ok":true';
const onAnswer = (bytes, from, to) => {
  if (!bytes.latin1Slice(from, to).includes(OK)) throw new Error(`A send was answered ${bytes.latin1Slice(from, to)}.`);
  answers += 1;
};

function begin(takesLatencies) {
  received = 0;
  answers = 0;
  latenciesMicros = takesLatencies ? [] : undefined;
  mark = { cpu: process.cpuUsage(), micros: nowMicros() };
}

function utilisation() {
  const { user, system } = process.cpuUsage(mark.cpu);
  return (user + system) / Math.max(1, nowMicros() - mark.micros);
}

/** Waits until so much has come, or nothing comes any more; answers when the last came. */
async function untilCame(count, have) {
  let last = nowMicros();
  for (let before = have(); before < count; ) {
    await delay(LOOK_MS);
    const now = have();
    if (now !== before) last = nowMicros();
    else if (nowMicros() - last > SILENCE_MS * 1_000) break;
    before = now;
  }
  return last;
}

/** How a client asks the server to send to another. */
const SENDS = {
  plain: (to, data) => `42["send",{"to":"${to}","data":${data}}]`,
  raw: (to, data) => `{"to":"${to}","data":${data}}`,
  "sdk-volatile": (to, data) => `42["usercast:send",{"to":"${to}","event":"message","data":${data},"volatile":true}]`,
  "sdk-durable": (to, data, n) =>
    `42${n % 1_000}["usercast:send",{"to":"${to}","event":"message","data":${data},"key":"${String(n).padStart(KEY_LENGTH, "k")}"}]`,
};

let sentBefore = 0;

/** The same gaps in every run, as if by chance: how long until the next of so many a second. */
function* gapsMicros(perSecond) {
  for (let state = 1; ; state = (state * 48_271) % 0x7fffffff) yield (-Math.log(state / 0x7fffffff) * 1e6) / perSecond;
}

/** Does something at a rate, at moments that are as if by chance; it is told when it was due, also where this process was late. */
async function paced(ms, perSecond, act) {
  const began = nowMicros();
  const gaps = gapsMicros(perSecond);
  let sent = 0;
  for (let due = began; ; sent += 1) {
    due += gaps.next().value;
    if (due - began > ms * 1_000) return { sent, began };
    while (nowMicros() < due) await turn();
    act(Math.round(due));
  }
}

/** A message with this number from one client to the user of another. */
function sendBetweenClients(as, number) {
  const n = sentBefore;
  sentBefore += 1;
  const from = (n * STRIDE) % clients.length;
  const to = users[(from + 1 + (n % (users.length - 1))) % users.length];
  clients[from].send(SENDS[as](to, JSON.stringify(message(number)), n));
}

async function untilAnswered(sent) {
  await untilCame(sent, () => answers);
  if (answers !== sent) throw new Error(`Of ${sent} sends ${answers} were answered.`);
}

answerWith({
  /** Connects so many clients for each user, to one server or to several in turn. */
  async connect({ port, ports = [port], names, perUser = 1, atOnce, ...others }) {
    users = names;
    const options = names.flatMap((user, i) =>
      Array.from({ length: perUser }, (_, device) => ({
        port: ports[i % ports.length],
        user,
        device,
        onMessage,
        onAnswer,
        ...others,
      })),
    );
    clients.push(...(await openAll(options, atOnce)));
  },
  /** Begins to count anew. */
  begin({ latencies = false }) {
    begin(latencies);
  },
  /** Waits until so many messages came, or none come any more. */
  async expect({ count }) {
    const lastMicros = await untilCame(count, () => received);
    return { lastMicros, utilisation: utilisation() };
  },
  /** How many have come by now, and how many of them out of order; and, where they were taken, the time each took. */
  counts() {
    const outOfOrder = clients.reduce((total, client) => total + client.outOfOrder, 0);
    return { received, outOfOrder, latenciesMicros };
  },
  /** Sends from client to client for so long, a certain number under way at once: each message that comes lets the next one go. */
  async route({ as, ms, underWay, isAnswered }) {
    const began = nowMicros();
    const until = began + ms * 1_000;
    let sent = 0;
    const next = () => {
      sendBetweenClients(as, sentBefore);
      sent += 1;
    };
    onNext = () => {
      if (nowMicros() < until) next();
    };
    for (let i = 0; i < underWay; i += 1) next();
    while (nowMicros() < until) await delay(LOOK_MS);
    onNext = undefined;
    if (isAnswered) await untilAnswered(sent);
    return { sent, began };
  },
  /** Sends from client to client at a rate. Each message tells when it was due. */
  async routePaced({ as, ms, perSecond, isAnswered }) {
    const told = await paced(ms, perSecond, (due) => sendBetweenClients(as, due));
    if (isAnswered) await untilAnswered(told.sent);
    return told;
  },
  /** Calls the server's HTTP API for so long, from so many connections; one message a call, or a batch. */
  async call({ port, ms, callers, batch }) {
    const began = nowMicros();
    const until = began + ms * 1_000;
    let sent = 0;
    const next = () => {
      sentBefore += 1;
      sent += 1;
      return { to: users[(sentBefore * STRIDE) % users.length], data: message(sentBefore) };
    };
    const calling = Array.from({ length: callers }, async () => {
      const caller = new HttpCaller(port);
      while (nowMicros() < until) {
        const messages = Array.from({ length: batch }, next);
        const [{ to, data }] = messages;
        const [path, body] = batch === 1 ? [`/v1/users/${to}/messages`, { data }] : ["/v1/messages", { messages }];
        const status = await caller.post(path, JSON.stringify(body));
        if (status < 200 || status > 299) throw new Error(`A call was answered ${status}.`);
      }
      caller.close();
    });
    await Promise.all(calling);
    return { sent, began };
  },
  /** Has the server send at a rate. Each message tells when it was due. */
  async trigger({ port, ms, perSecond }) {
    const socket = connect({ port, host: "127.0.0.1", noDelay: true });
    await once(socket, "connect");
    const told = await paced(ms, perSecond, (due) => {
      const bytes = Buffer.allocUnsafe(TRIGGER_BYTES);
      bytes.writeDoubleLE(due);
      socket.write(bytes);
    });
    socket.end();
    return told;
  },
  /** Comes with a new device of each user at once, which begins before the first message. */
  async catchUp({ port, wire, names, round }) {
    const began = nowMicros();
    const place = (user) => (epochs.has(user) ? { epoch: epochs.get(user), offset: 0, at: 0 } : undefined);
    const optionsOf = (user) => ({
      port,
      wire,
      user,
      device: round,
      position: place(user),
      session: sessions.get(user),
      onMessage,
    });
    clients = await openAll(names.map(optionsOf));
    return { began };
  },
  stall() {
    for (const client of clients) client.stall();
  },
  /** Lets some read again, spread over all; tells how many of them do not get so many messages, each once. */
  async resume({ sample, messages }) {
    const some = clients.filter(
      (_, i) => Math.floor((i * sample) / clients.length) !== Math.floor(((i - 1) * sample) / clients.length),
    );
    for (const client of some) client.resume();
    const have = () => some.reduce((total, client) => total + client.received, 0);
    await untilCame(some.length * messages, have);
    const incomplete = some.filter((client) => client.received !== messages || client.outOfOrder > 0).length;
    return { read: some.length, incomplete };
  },
  async leave() {
    for (const { user, epoch, session } of clients) {
      if (epoch !== undefined) epochs.set(user, epoch);
      // The first one: from there on everything is to come again.
      if (session.offset !== undefined && !sessions.has(user)) sessions.set(user, session);
    }
    await Promise.all(clients.map((client) => client.close()));
    clients = [];
  },
});

process.send({ ready: true });
