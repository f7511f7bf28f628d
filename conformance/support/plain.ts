import { createRequire } from "node:module";
import { io } from "socket.io-client";
import { type Addressed, connectionCount } from "./http.ts";
import { owned } from "./owned.ts";
import { RECONNECT } from "./reconnect.ts";
import { until } from "./wait.ts";

/** What all versions of the client have in common, as far as the tests need it. */
export interface PlainSocket {
  readonly id: string;
  readonly connected: boolean;
  readonly io: { readonly engine: { readonly transport: { readonly name: string } } };
  on(event: string, listener: (...args: never[]) => void): unknown;
  emit(event: string, ...args: unknown[]): unknown;
  connect(): unknown;
  disconnect(): unknown;
}

type Connect = (url: string, options: object) => PlainSocket;

/** One version of socket.io-client. */
export interface Library {
  readonly version: string;
  readonly connect: Connect;
}

// The older ones are CommonJS, without types or without any that their ES module wrappers would point to.
const require = createRequire(import.meta.url);

/** An untouched Socket.IO client of every generation that is still in use. */
export const LIBRARIES: readonly Library[] = [
  { version: "2.5.0", connect: require("socket.io-client-2") as Connect },
  { version: "3.1.3", connect: require("socket.io-client-3") as Connect },
  { version: "4.0.1", connect: require("socket.io-client-4.0") as Connect },
  { version: "4.8.4", connect: io as unknown as Connect },
];

/** The newest, where the version is not the point. */
export const NEWEST: Library = LIBRARIES[3] as Library;

/** Ways to connect, as options; by default a client starts with polling and then upgrades. */
export const TRANSPORTS: Readonly<Record<string, { readonly transports?: readonly string[] }>> = {
  WebSocket: { transports: ["websocket"] },
  polling: { transports: ["polling"] },
  "its default transports": {},
};

/** A client as the seed system writes it, and what it received. */
export interface PlainClient {
  readonly socket: PlainSocket;
  /** One list per connection, so that what came before and after a reconnect is told apart. */
  readonly connections: unknown[][];
  /** All that came so far. */
  readonly received: () => readonly unknown[];
  /** The name of the transport in use. */
  readonly transport: () => string;
}

/** Comes back quickly, so that tests that break connections do not wait. */

/** Connects an untouched client with the seed's code, and closes it when the test is over. */
export function plainClient(library: Library, url: string, userId: string, options: object = {}): PlainClient {
  const connections: unknown[][] = [];

  const socket = library.connect(url, { forceNew: true, ...RECONNECT, ...options });
  socket.on("connect", () => {
    connections.push([]);
    socket.emit("register", userId);
  });
  socket.on("message", (message: unknown) => connections.at(-1)?.push(message));

  owned({ close: () => socket.disconnect() });
  return {
    socket,
    connections,
    received: () => connections.flat(),
    transport: () => socket.io.engine.transport.name,
  };
}

/** The same, once the server knows of `count` connections of the user, this one included. */
export async function registeredClient(
  library: Library,
  server: Addressed,
  userId: string,
  options: { readonly url?: string; readonly count?: number } & Readonly<Record<string, unknown>> = {},
): Promise<PlainClient> {
  const { url = server.url, count = 1, ...socketOptions } = options;
  const client = plainClient(library, url, userId, socketOptions);
  await until(`${userId} is registered`, async () => (await connectionCount(server, userId)) === count);
  return client;
}
