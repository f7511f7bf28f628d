import { createServer, type Server as HttpServer, type RequestListener } from "node:http";
import type { Socket } from "node:net";
import { setTimeout } from "node:timers/promises";
import { REGISTER_EVENT } from "@usercast/protocol";
import { type Broker, jwt, type UsercastOptions, usercast } from "@usercast/server";
import { Server } from "socket.io";
import { createApp } from "./app.ts";
import type { ServerConfig } from "./config.ts";
import { guardDoor } from "./door.ts";
import { listenOn, listenOnLoopback } from "./listen.ts";
import { type Logger, printable } from "./log.ts";
import { PAGES_DIR } from "./pages.ts";
import { loopbackPolicy, originsPolicy, type Policy } from "./policy.ts";
import { openStore } from "./store.ts";

/** A server that listens. */
export interface RunningServer {
  readonly port: number;
  /** Stops accepting, lets go of every client so that it comes back elsewhere, and waits until everything accepted is written. */
  stop(): Promise<void>;
}

/** Bounds of the HTTP server, which Node leaves wide or open. */
const HTTP_LIMITS = {
  maxHeaderSize: 16_384,
  headersTimeout: 20_000,
  requestTimeout: 30_000,
  // Longer than the idle time of common load balancers, so that they are the ones to close.
  keepAliveTimeout: 65_000,
} as const;

/** How long a stop waits for connections that are not idle, and how often it looks. */
const LINGER_MS = 1_000;
const LINGER_STEP_MS = 20;

/** How long a connection may take to join Socket.IO's namespace. */
const CONNECT_TIMEOUT_MS = 20_000;

/** What a client may write into one packet beside its message: room enough that one a little too large gets an answer. */
const packetLimitOf = (maxPayloadBytes: number): number => 2 * maxPayloadBytes + 16_384;

/**
 * Opens the store and listens.
 * @throws UsercastError of the store or the options; StartError when the server cannot listen
 */
export async function startServer(config: ServerConfig, log: Logger, pagesDir: string = PAGES_DIR): Promise<RunningServer> {
  const broker = await openStore(config.store, config.storeLimits, log);
  try {
    return await startWithBroker(config, log, pagesDir, broker);
  } catch (error) {
    await broker.close();
    throw error;
  }
}

async function startWithBroker(config: ServerConfig, log: Logger, pagesDir: string, broker: Broker): Promise<RunningServer> {
  const policy: Policy = config.mode === "development" ? loopbackPolicy : originsPolicy(config.origins);
  let port = config.port;
  // The library needs Socket.IO, Socket.IO the HTTP server, and the HTTP API the library: the circle is closed here.
  let app: RequestListener = () => {};
  const http = createServer(HTTP_LIMITS, (request, response) => app(request, response));
  const sockets = trackSockets(http);
  const io = new Server(http, {
    allowEIO3: config.engineIo3,
    ...(config.mode === "production" && { transports: [...config.transports] }),
    cors: { origin: (origin, allow) => allow(null, origin !== undefined && policy.allowsOrigin(origin)) },
    maxHttpBufferSize: packetLimitOf(config.maxPayloadBytes),
    connectTimeout: CONNECT_TIMEOUT_MS,
  });
  const users = usercast(io, { ...libraryOptions(config, log), broker });
  users.on("error", (error) => log.error({ code: error.code, err: error.cause }, error.message));
  users.on("missed", ({ userId, device }, missed) => log.info({ userId: printable(userId), device, ...missed }, "missed"));
  app = createApp({
    users,
    policy,
    log,
    maxPayloadBytes: config.maxPayloadBytes,
    maxBatchBytes: config.maxBatchBytes,
    apiKeys: config.mode === "production" ? config.apiKeys : undefined,
    checkReady: async () => void (await broker.read("readyz", 0, 1)),
    pages: { dir: pagesDir, all: config.mode === "development", portOf: () => port },
  });
  guardDoor(http, policy, log);

  const listening =
    config.mode === "development" ? await listenOnLoopback(http, config.port) : await listenOn(http, config.port, config.host);
  port = listening.port;

  const stop = async (): Promise<void> => {
    const closed = listening.close();
    await users.close();
    // It waits for every client to answer, and one behind a dead network never does.
    await Promise.race([io.close(), setTimeout(LINGER_MS)]);
    await broker.close();
    await finishAnswers(http, closed);
    for (const socket of sockets) socket.destroy();
    await closed;
  };
  let stopping: Promise<void> | undefined;
  return {
    port,
    stop: () => {
      stopping ??= stop();
      return stopping;
    },
  };
}

/** Every open socket, those that Node no longer counts because they were upgraded included. */
function trackSockets(http: HttpServer): ReadonlySet<Socket> {
  const sockets = new Set<Socket>();
  http.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  return sockets;
}

/** Gives answers that are on their way, and clients that close politely, a little time; idle connections none. */
async function finishAnswers(http: HttpServer, closed: Promise<void>): Promise<void> {
  const deadline = performance.now() + LINGER_MS;
  const isClosed = closed.then(() => true);
  while (performance.now() < deadline) {
    http.closeIdleConnections();
    if (await Promise.race([isClosed, setTimeout(LINGER_STEP_MS, false)])) return;
  }
}

function libraryOptions(config: ServerConfig, log: Logger): UsercastOptions {
  return {
    ...(config.mode === "development"
      ? { trustClients: true }
      : { authenticate: jwt(config.identity), registerTimeoutMs: config.registerTimeoutMs }),
    registerEvent: REGISTER_EVENT,
    releaseRequest: true,
    ...(config.userToUser && { authorize: () => ({ receipts: true }) }),
    maxPayloadBytes: config.maxPayloadBytes,
    ...config.userLimits,
    logger: { warn: (message) => log.warn(message), error: (message, err) => log.error({ err }, message) },
  };
}
