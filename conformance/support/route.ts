import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

/** Where a server listens. */
export interface Listening {
  readonly port: number;
}

/**
 * What a load balancer with sticky sessions is to one client: it keeps to one node until that takes no more connections, and
 * then to the next one.
 */
export class Route {
  readonly #listener: Server;
  readonly #nodes: readonly Listening[];
  readonly #sockets = new Set<Socket>();
  #current: number;

  private constructor(nodes: readonly Listening[], first: number) {
    this.#nodes = nodes;
    this.#current = first % nodes.length;
    this.#listener = createServer({ noDelay: true }, (client) => this.#join(client, 1));
  }

  /** A route to one of `nodes`, at first that of the number `first`. */
  static async start(nodes: readonly Listening[], first: number): Promise<Route> {
    const route = new Route(nodes, first);
    route.#listener.listen(0, "127.0.0.1");
    await once(route.#listener, "listening");
    return route;
  }

  get port(): number {
    return (this.#listener.address() as AddressInfo).port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#listener.close(resolve));
  }

  #join(client: Socket, tries: number): void {
    const at = this.#current;
    const server = connect({ port: this.#nodes[at]?.port ?? 0, host: "127.0.0.1", noDelay: true });
    const drop = (): void => {
      for (const socket of [client, server]) {
        socket.destroy();
        this.#sockets.delete(socket);
      }
    };
    const refused = (): void => {
      server.destroy();
      // Several connections learn of it at once, and one step is enough.
      if (this.#current === at) this.#current = (at + 1) % this.#nodes.length;
      if (tries < this.#nodes.length) this.#join(client, tries + 1);
      else drop();
    };
    server.once("error", refused);
    this.#sockets.add(client).add(server);
    client.once("close", drop).once("error", drop);
    server.once("connect", () => {
      server.off("error", refused).once("error", drop).once("close", drop);
      client.pipe(server).pipe(client);
    });
  }
}
