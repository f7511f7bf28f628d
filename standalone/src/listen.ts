import type { Server } from "node:http";
import { type AddressInfo, createServer, type Server as NetServer } from "node:net";

/** Why the server cannot start, in one line for the person at the terminal. */
export class StartError extends Error {
  override readonly name = "StartError";
}

/** Where a server listens. */
export interface Listening {
  readonly port: number;
  /** Stops accepting connections at once; resolves when the last of those there are has ended. */
  close(): Promise<void>;
}

const FREE_PORT_ATTEMPTS = 5;

/**
 * Listens on one address, or on every address of the machine.
 * @throws StartError
 */
export async function listenOn(server: Server, port: number, host: string | undefined): Promise<Listening> {
  await listen(server, port, host);
  return { port: portOf(server), close: () => close(server) };
}

/**
 * Listens on the loopback addresses of IPv4 and, where the machine has it, IPv6: browsers try either for "localhost".
 * Both must be ours, so that nobody else answers to half of that name.
 * @throws StartError
 */
export async function listenOnLoopback(server: Server, port: number): Promise<Listening> {
  // One HTTP server, so that there is one set of connections and time-outs; the second listener only hands sockets over.
  // Its options are those of an HTTP server's own.
  const second = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => server.emit("connection", socket));
  for (let attempt = 1; ; attempt++) {
    await listen(server, port, "127.0.0.1");
    try {
      await listen(second, portOf(server), "::1");
      break;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === "EADDRNOTAVAIL" || code === "EAFNOSUPPORT") break;
      await close(server);
      // A port that was free on one address may be taken on the other; there are others.
      if (code !== "EADDRINUSE" || port !== 0 || attempt === FREE_PORT_ATTEMPTS) throw error;
    }
  }
  return {
    port: portOf(server),
    close: async () => void (await Promise.all([close(server), close(second)])),
  };
}

const close = (server: NetServer): Promise<void> => new Promise((resolve) => void server.close(() => resolve()));

const portOf = (server: NetServer): number => (server.address() as AddressInfo).port;

async function listen(server: NetServer, port: number, host: string | undefined): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const onError = (error: NodeJS.ErrnoException): void => {
      server.off("listening", onListening);
      reject(Object.assign(new StartError(explain(error, port, host)), { code: error.code }));
    };
    const onListening = (): void => {
      server.off("error", onError);
      resolve();
    };
    server.once("error", onError).once("listening", onListening).listen({ port, host });
  });
}

function explain(error: NodeJS.ErrnoException, port: number, host: string | undefined): string {
  if (error.code === "EADDRINUSE") return `port ${port} is already in use; choose another with --port`;
  if (error.code === "EACCES") return `port ${port} may not be used by this user; choose one above 1023 with --port`;
  return `cannot listen on ${host ?? "any address"}, port ${port}: ${error.code ?? error.message}`;
}
