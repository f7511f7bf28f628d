// Users who come all at once, and get what was stored for them meanwhile. Connecting is part of it.
import { alternate, casesOf, openRow, slice, userNames } from "../slices.js";

/** How many come at once, and what waits for each. */
const USERS = 100;
const MESSAGES = 1_000;

const ours = (broker) => ({ kind: "usercast", broker });

const ROWS = {
  "memory-rows": { title: "for (row of rows) socket.emit, memory", wire: "plain", server: { kind: "rows", store: "memory" } },
  "lmdb-rows": { title: "for (row of rows) socket.emit, LMDB", wire: "plain", server: { kind: "rows", store: "lmdb" } },
  memory: { title: "Usercast, memory", wire: "sdk", server: ours("memory"), isDurable: true },
  lmdb: { title: "Usercast, LMDB", wire: "sdk", server: ours("lmdb"), isDurable: true },
};

export const FAMILIES = { "catch-up": { title: `${USERS} users catch up ${MESSAGES} messages each`, rows: Object.keys(ROWS) } };

export async function run({ "catch-up": rows }, settings) {
  const names = userNames(USERS);
  const opened = [];
  try {
    for (const name of rows) opened.push(await openRow({ name, ...ROWS[name] }, { users: 0 }));
    for (const { server } of opened) {
      await server.ask({ do: "users", names });
      await server.ask({ do: "fill", messages: MESSAGES });
    }
    settings.tell(FAMILIES["catch-up"].title);
    const samples = await alternate(opened, settings, async (one, _, round) => {
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
