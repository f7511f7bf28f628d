import type { Socket } from "socket.io-client";

/** What a socket calls; typed for any arguments, because anything may come over the wire. */
export type SocketHandler = (...args: unknown[]) => void;

/** Listens to several events of a socket; the answer ends exactly that. */
export function listen(socket: Socket, handlers: Readonly<Record<string, SocketHandler>>): () => void {
  for (const [event, handler] of Object.entries(handlers)) socket.on(event, handler);
  return () => {
    for (const [event, handler] of Object.entries(handlers)) socket.off(event, handler);
  };
}
