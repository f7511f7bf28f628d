// Stores as one uses them without a library: what a durable send is compared with. And rows of messages that are emitted one by one.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Redis } from "ioredis";
import { open } from "lmdb";
import { Server } from "socket.io";

/** A folder that ends with this process. */
export function temporaryFolder() {
  const path = mkdtempSync(join(tmpdir(), "usercast-bench-"));
  process.on("exit", () => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** Each message under its own key, accepted when it is flushed. */
export function lmdbByHand() {
  const db = open({ path: temporaryFolder(), encoding: "string" });
  let row = 0;
  async function send(id, data) {
    row += 1;
    await db.put([id, row], JSON.stringify(["message", data]));
    await db.flushed;
  }
  return { send, awaited: true };
}

/** A stream for each user; ioredis writes what is asked for in one turn together. */
export function redisByHand(_, { url }) {
  const redis = new Redis(url, { enableAutoPipelining: true });
  const send = (id, data) => redis.xadd(`mailbox:${id}`, "MAXLEN", "~", 1_000, "*", "m", JSON.stringify(["message", data]));
  return { send, awaited: true };
}

/** Rows of messages that are read when their user comes, and emitted one by one; from a list of parsed ones or from LMDB. */
export function rows(http, { store }) {
  const io = new Server(http);
  const { add, of } = store === "lmdb" ? rowsOnDisk() : rowsInMemory();
  io.on("connection", (socket) => {
    socket.on("register", (id, answer) => {
      answer();
      for (const data of of(id)) socket.emit("message", data);
    });
  });
  return { fill: add };
}

function rowsInMemory() {
  const lists = new Map();
  return {
    add(ids, data) {
      for (const id of ids) lists.set(id, [...(lists.get(id) ?? []), data]);
    },
    of: (id) => lists.get(id) ?? [],
  };
}

function rowsOnDisk() {
  const db = open({ path: temporaryFolder(), encoding: "json" });
  let row = 0;
  return {
    async add(ids, data) {
      row += 1;
      await Promise.all(ids.map((id) => db.put([id, row], data)));
    },
    of: (id) => db.getRange({ start: [id, 0], end: [id, Number.POSITIVE_INFINITY] }).map(({ value }) => value),
  };
}
