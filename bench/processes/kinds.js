// What is compared: servers that let users register and send messages to users, each in its own way. Each kind is a function of the HTTP
// server that makes `send(id, data)`, `sendToAll(ids, data)` and whether sends are `awaited`.
import { getRequestListener } from "@hono/node-server";
import { createAdapter, createShardedAdapter } from "@socket.io/redis-adapter";
import { memory, usercast } from "@usercast/server";
import { lmdb } from "@usercast/server/lmdb";
import { redis } from "@usercast/server/redis";
import { Hono } from "hono";
import { Redis } from "ioredis";
import { Server } from "socket.io";
import { WebSocketServer } from "ws";
import { serverFrame } from "../frames.js";
import { lmdbByHand, redisByHand, rows, temporaryFolder } from "./stores.js";

/** What a mailbox keeps, so that a run goes over into the state in which stores are for most of their life. */
const MAX_MAILBOX_MESSAGES = 1_000;

const BROKERS = {
  memory: async (limits) => memory({ quiet: true, ...limits }),
  lmdb: (limits) => lmdb({ path: temporaryFolder(), ...limits }),
  redis: ({ maxMailboxMessages }, { url, prefix = "bench:" }) => redis({ url, prefix, maxMailboxMessages }),
};

/** The map of the seed: where a user has several connections, it holds the last one. */
function seed(http) {
  const io = new Server(http);
  const map = new Map();
  const send = (id, data) => io.to(map.get(id)).emit("message", data);
  io.on("connection", (socket) => {
    socket.on("register", (id, answer) => {
      map.set(id, socket.id);
      answer?.();
    });
    socket.on("send", ({ to, data }) => send(to, data));
  });
  const sendToAll = (ids, data) => {
    for (const id of ids) send(id, data);
  };
  return { send, sendToAll };
}

/** The same with all connections of a user. */
function seedOfSets(http) {
  const io = new Server(http);
  const map = new Map();
  io.on("connection", (socket) => {
    socket.on("register", (id, answer) => {
      if (!map.has(id)) map.set(id, new Set());
      map.get(id).add(socket.id);
      answer?.();
    });
  });
  return { send: (id, data) => io.to([...map.get(id)]).emit("message", data) };
}

/** A room for each user; with an adapter, on several nodes. */
function room(http, { adapter, io: options } = {}) {
  const io = new Server(http, { adapter, ...options });
  const send = (id, data) => io.to(`user:${id}`).emit("message", data);
  io.on("connection", (socket) => {
    socket.on("register", async (id, answer) => {
      await socket.join(`user:${id}`);
      answer?.();
    });
    socket.on("send", ({ to, data }) => send(to, data));
  });
  return { send, sendToAll: (ids, data) => io.to(ids.map((id) => `user:${id}`)).emit("message", data) };
}

/** The same, where Socket.IO keeps for some time what broken connections have not had. Each message is one user's. */
function recovery(http) {
  const { send } = room(http, { io: { connectionStateRecovery: { maxDisconnectionDuration: 3_600_000 } } });
  const fill = (ids, data) => {
    for (const id of ids) send(id, data);
  };
  return { send, fill };
}

/** The seed's map on several nodes is a room for each user. */
function adapter(http, { flavour, url, prefix }) {
  const [pub, sub] = [new Redis(url), new Redis(url)];
  const made =
    flavour === "classic" ? createAdapter(pub, sub, { key: prefix }) : createShardedAdapter(pub, sub, { channelPrefix: prefix });
  return room(http, { adapter: made });
}

/** A bare `ws` server with a list of connections for each user. `write` puts a text to some of them. */
function raw(http, write) {
  const server = new WebSocketServer({ server: http });
  const users = new Map();
  const textOf = (data) => JSON.stringify(["message", data]);
  const send = (id, data) => write(users.get(id), textOf(data));
  server.on("connection", (socket) => {
    socket.once("message", (name) => {
      const id = name.toString();
      users.set(id, [...(users.get(id) ?? []), socket]);
      socket.on("message", (text) => {
        const { to, data } = JSON.parse(text.toString());
        send(to, data);
      });
      socket.send("ok");
    });
  });
  const sendToAll = (ids, data) =>
    write(
      ids.flatMap((id) => users.get(id)),
      textOf(data),
    );
  return { send, sendToAll };
}

const rawSend = (http) =>
  raw(http, (sockets, text) => {
    for (const socket of sockets) socket.send(text);
  });

/** One frame made by hand for all, in one write each: what a server can come to with `ws`. */
const rawFrame = (http) =>
  raw(http, (sockets, text) => {
    const frame = serverFrame(text);
    for (const socket of sockets) socket._socket.write(frame);
  });

/** The same, where the frames of one turn of the loop for one connection are joined: what bursts can come to. */
function rawJoined(http) {
  const waiting = new Map();
  const flush = () => {
    for (const [socket, frames] of waiting) socket._socket.write(Buffer.concat(frames));
    waiting.clear();
  };
  return raw(http, (sockets, text) => {
    const frame = serverFrame(text);
    for (const socket of sockets) {
      if (waiting.size === 0) process.nextTick(flush);
      const frames = waiting.get(socket);
      if (frames === undefined) waiting.set(socket, [frame]);
      else frames.push(frame);
    }
  });
}

/** @param settings `limits` of the broker, `io`: options of Socket.IO's server, and `options` of ours beside those of the bench */
async function ours(http, { broker: name, isVolatile = false, limits, io, options, ...place }) {
  const broker = await BROKERS[name]({ maxMailboxMessages: MAX_MAILBOX_MESSAGES, ...limits }, place);
  const users = usercast(new Server(http, io), {
    trustClients: true,
    authorize: () => true,
    // The load is a thousand clients that send as fast as they can.
    sendRate: { points: 1e9, durationMs: 1_000 },
    broker,
    ...options,
  });
  const to = (target) => (isVolatile ? users.to(target).volatile : users.to(target));
  const send = (target, data) => to(target).emit("message", data);
  return { users, send, sendToAll: send, awaited: !isVolatile };
}

/** Socket.IO with nothing on it. */
const bare = (http) => {
  new Server(http);
  return {};
};

/** Another kind, behind two HTTP routes like those of the executable. */
async function hono(http, { over, ...settings }) {
  const app = new Hono();
  let kind;
  const sendOne = async (id, data) => ({ userId: id, state: "pushed", ...(await kind.send(id, data)) });
  app.post("/v1/users/:id/messages", async (context) => {
    const { data } = await context.req.json();
    return context.json(await sendOne(context.req.param("id"), data), 201);
  });
  app.post("/v1/messages", async (context) => {
    const { messages } = await context.req.json();
    return context.json({ results: await Promise.all(messages.map(({ to, data }) => sendOne(to, data))) });
  });
  // Socket.IO, which comes after, answers what is its own, and leaves the rest to this.
  http.on("request", getRequestListener(app.fetch));
  kind = await KINDS[over](http, settings);
  return kind;
}

export const KINDS = {
  seed,
  seedOfSets,
  room,
  recovery,
  rawSend,
  rawFrame,
  rawJoined,
  usercast: ours,
  bare,
  adapter,
  hono,
  rows,
  lmdbByHand,
  redisByHand,
};
