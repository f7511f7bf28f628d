// A back end's message to a user, by an HTTP call: the callers are in the process of the receivers.
import { alternate, casesOf, measureFamilies, openRow, slice } from "../slices.js";
import { startStandalone } from "../standalone.js";

/** Connections of callers, each with one call under way. */
const CALLERS = 64;
/** Messages in one call. */
const BATCH = 100;

const hono = (over, settings) => ({ kind: "hono", over, ...settings });

const ROWS = {
  seed: { title: "hono, io.to(map.get(id)).emit", wire: "plain", server: hono("seed") },
  volatile: {
    title: "hono, users.to(id).volatile.emit",
    wire: "sdk",
    server: hono("usercast", { broker: "memory", isVolatile: true }),
  },
  memory: {
    title: "hono, users.to(id).emit, memory",
    wire: "sdk",
    server: hono("usercast", { broker: "memory" }),
    isDurable: true,
  },
  standalone: { title: "the executable, LMDB", wire: "sdk", server: {}, isDurable: true, start: startStandalone },
};

export const FAMILIES = {
  http: { title: "A message by an HTTP call", rows: Object.keys(ROWS) },
  "http-batch": { title: `Messages by HTTP calls of ${BATCH}`, rows: Object.keys(ROWS) },
};

export const run = (families, settings) =>
  measureFamilies(families, ROWS, openRow, async (family, opened) => {
    settings.tell(FAMILIES[family].title);
    const batch = family === "http" ? 1 : BATCH;
    // HTTP servers take long until they are compiled.
    const longer = { ...settings, family, warmUps: settings.warmUps + 1 };
    const samples = await alternate(opened, longer, (one, ms) => {
      const { port } = one.server.ready;
      return slice(one, () => one.receivers.ask({ do: "call", port, ms, callers: CALLERS, batch }));
    });
    return casesOf(family, samples);
  });
