// A client's message to another user, through the server: the load are the clients themselves, in a process of their own.
import { alternate, casesOf, measureFamilies, openRow, slice, timedCasesOf, timedMs, timedSlice } from "../slices.js";

/** Messages on their way from client to client at once. */
const UNDER_WAY = 1_000;
/** Messages a second where time is taken. */
const PER_SECOND = 2_000;

const ours = (broker) => ({ kind: "usercast", broker });
const durable = { as: "sdk-durable", isDurable: true };

const ROWS = {
  seed: { title: "handler: io.to(map.get(to)).emit", wire: "plain", as: "plain", server: { kind: "seed" } },
  room: { title: "handler: io.to('user:' + to).emit", wire: "plain", as: "plain", server: { kind: "room" } },
  "raw-send": { title: "ws: JSON.parse, ws.send(JSON.stringify(…))", wire: "raw", as: "raw", server: { kind: "rawSend" } },
  "raw-frame": { title: "ws: JSON.parse, own frame in one write", wire: "raw", as: "raw", server: { kind: "rawFrame" } },
  volatile: { title: "me.to(id).volatile.emit", wire: "sdk", as: "sdk-volatile", server: ours("memory") },
  memory: { title: "me.to(id).emit, memory", wire: "sdk", server: ours("memory"), ...durable },
  lmdb: { title: "me.to(id).emit, LMDB", wire: "sdk", server: ours("lmdb"), ...durable },
};

export const FAMILIES = {
  route: { title: "A client's message to one of 1,000 users", rows: Object.keys(ROWS) },
  "route-latency": {
    title: `Latency of the same, p99, at ${PER_SECOND.toLocaleString("en-US")} a second`,
    rows: Object.keys(ROWS),
  },
};

const MEASURES = {
  async route(opened, settings) {
    const samples = await alternate(opened, { ...settings, family: "route" }, (one, ms) => {
      const { as, isDurable: isAnswered } = one.row;
      return slice(one, () => one.receivers.ask({ do: "route", as, ms, underWay: UNDER_WAY, isAnswered }));
    });
    return casesOf("route", samples);
  },
  async "route-latency"(opened, settings) {
    const samples = await alternate(opened, { ...settings, family: "route-latency", warmUps: 1 }, (one, ms, round) => {
      const { as, isDurable: isAnswered } = one.row;
      const question = { do: "routePaced", as, ms: timedMs(ms, round), perSecond: PER_SECOND, isAnswered };
      return timedSlice(one, () => one.receivers.ask(question));
    });
    return timedCasesOf("route-latency", samples);
  },
};

export const run = (families, settings) =>
  measureFamilies(families, ROWS, openRow, (family, opened) => {
    settings.tell(FAMILIES[family].title);
    return MEASURES[family](opened, settings);
  });
