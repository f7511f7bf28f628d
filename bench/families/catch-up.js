// Users who come all at once, and get what was stored for them meanwhile. Connecting is part of it.
import { setTimeout as delay } from "node:timers/promises";
import { alternate, casesOf, openRow, slice, userNames } from "../slices.js";

/** How many come at once, and what waits for each. */
const USERS = 100;
const MESSAGES = 1_000;

/** Within what the server has noticed that connections are gone. */
const NOTICED_MS = 500;

const ours = (broker) => ({ kind: "usercast", broker });

const ROWS = {
  "memory-rows": { title: "for (row of rows) socket.emit, memory", wire: "plain", server: { kind: "rows", store: "memory" } },
  "lmdb-rows": { title: "for (row of rows) socket.emit, LMDB", wire: "plain", server: { kind: "rows", store: "lmdb" } },
  recovery: { title: "connection state recovery, memory", wire: "recovering", server: { kind: "recovery" } },
  memory: { title: "Usercast, memory", wire: "sdk", server: ours("memory"), isDurable: true },
  lmdb: { title: "Usercast, LMDB", wire: "sdk", server: ours("lmdb"), isDurable: true },
};

export const FAMILIES = { "catch-up": { title: `${USERS} users catch up ${MESSAGES} messages each`, rows: Object.keys(ROWS) } };

/** Only a connection that was there, and has had a message, can be recovered. */
async function breakOff(server, receivers, names) {
  await receivers.ask({ do: "connect", port: server.ready.port, wire: "recovering", names });
  await receivers.ask({ do: "begin" });
  await server.ask({ do: "fill", messages: 1 });
  await receivers.ask({ do: "expect", count: names.length });
  await receivers.ask({ do: "leave" });
  await delay(NOTICED_MS);
}

export async function run({ "catch-up": rows }, settings) {
  const names = userNames(USERS);
  const opened = [];
  try {
    for (const name of rows) opened.push(await openRow({ name, ...ROWS[name] }, { users: 0 }));
    for (const { row, server, receivers } of opened) {
      await server.ask({ do: "users", names });
      if (row.wire === "recovering") await breakOff(server, receivers, names);
      await server.ask({ do: "fill", messages: MESSAGES });
    }
    settings.tell(FAMILIES["catch-up"].title);
    const samples = await alternate(opened, { ...settings, family: "catch-up" }, async (one, _, round) => {
      const { port } = one.server.ready;
      const drive = async () => {
        // Devices are named by round, so that each is a new one, and what it confirms is written.
        const { began } = await one.receivers.ask({
          do: "catchUp",
          port,
          wire: one.row.wire,
          names,
          round: round + settings.warmUps,
        });
        return { sent: USERS * MESSAGES, began };
      };
      const measured = await slice(one, drive);
      await one.receivers.ask({ do: "leave" });
      return measured;
    });
    return casesOf("catch-up", samples);
  } finally {
    for (const { stop } of opened) await stop();
  }
}
