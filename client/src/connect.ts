import { UsercastError } from "@usercast/protocol";
import { io, type Socket } from "socket.io-client";
import { Client } from "./client.ts";
import { systemClock } from "./clock.ts";
import type { DefaultEvents, EventMap } from "./events.ts";
import type { ApplicationAuth } from "./handshake.ts";
import { type ConnectOptions, resolveOptions } from "./options.ts";
import { PositionStore } from "./position-store.ts";
import { deviceIn, Session } from "./session.ts";
import { claimKey, lenient, memoryStorage, pageStorage } from "./storage.ts";

/**
 * Connects to a server that runs Usercast, as one user. Dials after the current task, so that handlers can be set first.
 *
 * A given socket must not be connected yet (make it with `autoConnect: false`). What the application has in its `auth`
 * stays there, and `close()` disconnects it, because the connection is what makes the user present.
 *
 * @throws UsercastError `INVALID_OPTIONS`, `INVALID_USER_ID` or `INVALID_DEVICE`
 *
 * @example
 * const me = connect("http://localhost:3000", { token: () => fetchToken() });
 * me.on("message", (data, { offset, from, at }) => show(data));
 * await me.to("user456").emit("message", { text: "hey" });
 */
export function connect<Incoming extends EventMap<Incoming> = DefaultEvents, Outgoing extends EventMap<Outgoing> = Incoming>(
  urlOrSocket: string | Socket,
  options: ConnectOptions = {},
): Client<Incoming, Outgoing> {
  const resolved = resolveOptions(options);
  const { deviceId } = resolved;
  const { socket, applicationAuth } = socketOf(urlOrSocket, options);
  const local = options.storage?.local ?? pageStorage("localStorage");
  const session = options.storage?.session ?? pageStorage("sessionStorage") ?? memoryStorage();
  // The user cannot be part of the key where only a token tells who it is; the stored position says whose it is.
  const { key, release } = claimKey(session, addressOf(socket) + (resolved.userId === undefined ? "" : `|${resolved.userId}`));
  const kept = lenient(session);
  const page = new Session(kept, `usercast:session:${key}`);
  const shown = (event: Event): void => {
    if ("persisted" in event && event.persisted) page.takeOut();
  };
  const hidden = (): void => client.pageHidden();
  const client = new Client<Incoming, Outgoing>({
    socket,
    options: resolved,
    applicationAuth,
    device: deviceId === undefined ? deviceIn(local && lenient(local)) : { id: deviceId, transient: false },
    session: page,
    positions: new PositionStore(kept, `usercast:position:${key}`),
    clock: systemClock,
    onClose() {
      globalThis.removeEventListener?.("pagehide", hidden);
      globalThis.removeEventListener?.("pageshow", shown);
      page.putBack();
      release();
      socket.auth = applicationAuth ?? {};
    },
  });
  globalThis.addEventListener?.("pagehide", hidden);
  globalThis.addEventListener?.("pageshow", shown);
  return client;
}

/** The socket to use, and what the application has in its handshake. */
function socketOf(
  urlOrSocket: string | Socket,
  { socketOptions }: ConnectOptions,
): { socket: Socket; applicationAuth: ApplicationAuth } {
  if (typeof urlOrSocket !== "string") {
    if (!urlOrSocket.connected) return { socket: urlOrSocket, applicationAuth: urlOrSocket.auth };
    throw new UsercastError("INVALID_OPTIONS", "The socket is connected already; make it with autoConnect: false.");
  }
  const socket: Socket = io(urlOrSocket, {
    ...socketOptions,
    autoConnect: false,
    // Where the application has a connection to this server open for another namespace, Socket.IO dials at once, before
    // the client can set its own `auth`.
    auth: (answer) => queueMicrotask(() => typeof socket.auth === "function" && socket.auth(answer)),
  });
  return { socket, applicationAuth: socketOptions?.auth };
}

/** Which server and namespace a socket belongs to; only fields that are private in its types tell. */
function addressOf(socket: Socket): string {
  return `${Reflect.get(socket.io, "uri")}${socket.io.opts.path}${Reflect.get(socket, "nsp")}`;
}
