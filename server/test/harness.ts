import { createServer, type Server as HttpServer } from "node:http";
import type { AddressInfo } from "node:net";
import { type Closing, EVENTS, type MessageMeta, type Missed, type Ready, type ReceiptNotice } from "@usercast/protocol";
import { Server, type ServerOptions } from "socket.io";
import { io as connectTo, type ManagerOptions, type Socket, type SocketOptions } from "socket.io-client";
import { onTestFinished } from "vitest";
import { memory } from "../src/broker/memory.ts";
import { type Usercast, type UsercastOptions, usercast } from "../src/index.ts";

/** A real server on a free port of the loopback, stopped by the test that started it. */
export interface Running {
  readonly io: Server;
  readonly http: HttpServer;
  readonly users: Usercast;
  readonly url: string;
}

export async function start(options: Partial<UsercastOptions> = {}, ioOptions: Partial<ServerOptions> = {}): Promise<Running> {
  const http = createServer();
  const io = new Server(http, ioOptions);
  const identity = options.authenticate === undefined ? { trustClients: true } : {};
  const broker = options.broker ?? memory({ quiet: true });
  const users = usercast(io, { ...identity, ...options, broker });
  await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
  onTestFinished(async () => {
    await users.close();
    await io.close();
    await broker.close();
  });
  return { io, http, users, url: `http://127.0.0.1:${(http.address() as AddressInfo).port}` };
}

/** An untouched Socket.IO client, closed when the test ends. */
export function client(url: string, options: Partial<ManagerOptions & SocketOptions> = {}): Socket {
  const socket = connectTo(url, {
    forceNew: true,
    transports: ["websocket"],
    reconnectionDelay: 20,
    reconnectionDelayMax: 50,
    ...options,
  });
  onTestFinished(() => {
    socket.disconnect();
  });
  return socket;
}

/** A plain client as the seed system writes it; resolves once it is registered. */
export async function plain(
  url: string,
  userId: unknown,
  options: Partial<ManagerOptions & SocketOptions> = {},
): Promise<{ readonly socket: Socket; readonly received: unknown[] }> {
  const socket = client(url, options);
  const received: unknown[] = [];
  socket.on("message", (message: unknown) => received.push(message));
  await new Promise<void>((resolve) => {
    socket.on("connect", () => socket.emit("register", userId, () => resolve()));
  });
  return { socket, received };
}

/** Resolves with the next event of this name. */
export const next = (socket: Socket, event: string): Promise<unknown[]> =>
  new Promise((resolve) => socket.once(event, (...args: unknown[]) => resolve(args)));

/** What a connection that speaks the wire of the SDK was told. */
export interface Wire {
  readonly socket: Socket;
  readonly ready: Ready;
  readonly messages: { readonly secret: unknown; readonly meta: MessageMeta; readonly event: unknown; readonly data: unknown }[];
  readonly missed: Missed[];
  readonly closing: Closing[];
  readonly receipts: ReceiptNotice[];
  /** How far the user has read, as the connection was told. */
  readonly read: number[];
}

/** Connects as the SDK does, without its logic: what the server sends is only written down. */
export async function wire(
  url: string,
  userId: string | undefined,
  hello: Partial<Record<"device" | "session" | "token", string>> & { position?: unknown; readReceipts?: boolean } = {},
  options: Partial<ManagerOptions & SocketOptions> = {},
): Promise<Wire> {
  const { token, device = "phone", session = "s1", ...rest } = hello;
  const socket = client(url, { auth: { token, usercast: { v: 1, device, session, ...rest } }, ...options });
  const messages: Wire["messages"] = [];
  const missed: Missed[] = [];
  const closing: Closing[] = [];
  socket.on(EVENTS.message, (secret, meta, event, data) => messages.push({ secret, meta, event, data }));
  socket.on(EVENTS.missed, (_secret, range) => missed.push(range));
  socket.on(EVENTS.closing, (_secret, notice) => closing.push(notice));
  const receipts: ReceiptNotice[] = [];
  const read: number[] = [];
  socket.on(EVENTS.receipt, (_secret, notice) => receipts.push(notice));
  socket.on(EVENTS.read, (_secret, offset) => read.push(offset));
  const ready = next(socket, EVENTS.ready);
  if (userId !== undefined) socket.on("connect", () => socket.emit("register", userId));
  return { socket, ready: (await ready)[0] as Ready, messages, missed, closing, receipts, read };
}
