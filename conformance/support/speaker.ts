import { PROTOCOL_VERSION } from "@usercast/protocol";
import { io, type Socket } from "socket.io-client";
import type { Addressed } from "./http.ts";
import { owned } from "./owned.ts";
import { until } from "./wait.ts";

/** Someone who speaks the wire by hand: says what no SDK would, and shows everything the server says. */
export interface Speaker {
  readonly socket: Socket;
  /** Every event that came, with its arguments. */
  readonly heard: readonly (readonly unknown[])[];
  /** Emits an event and waits for its answer. */
  ask(event: string, ...args: unknown[]): Promise<unknown>;
  /** Waits for an event; answers its arguments. */
  hears(event: string): Promise<readonly unknown[]>;
}

/** Connects with this `auth`; it does not come back by itself. */
export function speaker(server: Addressed, auth: object = {}): Speaker {
  const socket = owned(io(server.url, { forceNew: true, transports: ["websocket"], reconnection: false, auth }));
  const heard: unknown[][] = [];
  socket.onAny((...args: unknown[]) => heard.push(args));
  return {
    socket,
    heard,
    ask: (event, ...args) => socket.timeout(10_000).emitWithAck(event, ...args),
    async hears(event) {
      const found = await until(`the server says ${event}`, () => heard.find(([name]) => name === event));
      return found.slice(1);
    },
  };
}

/** What an SDK says of itself in its handshake. */
export const hello = (fields: object = {}): object => ({
  usercast: { v: PROTOCOL_VERSION, device: "laptop", session: "tab-1", ...fields },
});

/** An SDK connection by hand, once the server has accepted it. */
export async function registeredSpeaker(server: Addressed, userId: string, fields: object = {}): Promise<Speaker> {
  const made = speaker(server, hello(fields));
  made.socket.emit("register", userId);
  await made.hears("usercast:ready");
  return made;
}
