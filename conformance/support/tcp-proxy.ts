import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

/** Both ends of one proxied connection. */
interface Pair {
  readonly client: Socket;
  readonly server: Socket;
  /** Whether neither side is read: a buffer that drains must not set it going again. */
  stalled: boolean;
}

/** A TCP proxy on the loopback that can be told to misbehave. */
export class TcpProxy {
  readonly #listener: Server;
  #targetPort: number;
  readonly #pairs = new Set<Pair>();
  /** Whether what the server writes is dropped, as by a network that died without a word. */
  #swallows = false;
  #swallowed = "";

  /** Whether new connections are ended at once, as by a network that is not there. */
  #refuses = false;

  readonly #holds: RegExp | undefined;
  readonly #held: (() => void)[] = [];

  private constructor(targetPort: number, holds: RegExp | undefined) {
    this.#targetPort = targetPort;
    this.#holds = holds;
    // Half-open, so that an end of one direction can be passed on alone.
    this.#listener = createServer({ allowHalfOpen: true, noDelay: true }, (client) => this.#join(client));
  }

  /**
   * A proxy in front of a port of this machine. A connection whose first bytes match `holds` gets no further than that
   * until `release`.
   */
  static async start(targetPort: number, holds?: RegExp): Promise<TcpProxy> {
    const proxy = new TcpProxy(targetPort, holds);
    proxy.#listener.listen(0, "127.0.0.1");
    await once(proxy.#listener, "listening");
    return proxy;
  }

  get port(): number {
    return (this.#listener.address() as AddressInfo).port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Connections that are held now. */
  get held(): number {
    return this.#held.length;
  }

  /** Lets the held connections pass. */
  release(): void {
    for (const pass of this.#held.splice(0)) pass();
  }

  get connections(): number {
    return this.#pairs.size;
  }

  /** What was swallowed, as text: a test can wait for a message to be in it. */
  get swallowed(): string {
    return this.#swallowed;
  }

  /** Until the next `cut` every byte towards clients is accepted and dropped, while all sockets stay open. */
  swallow(): void {
    this.#swallows = true;
  }

  /** Writes bytes to every client, as if the server had. */
  inject(bytes: Uint8Array): void {
    for (const { client } of this.#pairs) client.write(bytes);
  }

  /** Reads no more from either side of the connections there are, until `resume`: what is written piles up at its writer. */
  stall(): void {
    for (const pair of this.#pairs) {
      pair.stalled = true;
      pair.client.pause();
      pair.server.pause();
    }
  }

  resume(): void {
    for (const pair of this.#pairs) {
      pair.stalled = false;
      pair.client.resume();
      pair.server.resume();
    }
  }

  /** Breaks the connections there are; later ones pass. */
  cut(): void {
    this.#swallows = false;
    for (const { client, server } of this.#pairs) {
      client.destroy();
      server.destroy();
    }
  }

  /** Later connections go to another port of this machine. */
  turnTo(targetPort: number): void {
    this.#targetPort = targetPort;
  }

  /** Breaks the connections there are, and lets none through until `admit`. */
  refuse(): void {
    this.#refuses = true;
    this.cut();
  }

  admit(): void {
    this.#refuses = false;
  }

  /** Tells one side that the other will write no more, while that other hears nothing of it. */
  halfClose(towards: "client" | "server"): void {
    for (const pair of this.#pairs) pair[towards].end();
  }

  async close(): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.#listener.close(resolve));
  }

  #join(client: Socket): void {
    if (this.#refuses) {
      client.destroy();
      return;
    }
    const server = connect({ port: this.#targetPort, host: "127.0.0.1", noDelay: true, allowHalfOpen: true });
    const pair: Pair = { client, server, stalled: false };
    this.#pairs.add(pair);
    const upwards = (): void => forward(pair, client, server, () => true);
    if (this.#holds === undefined) upwards();
    else {
      client.once("data", (first) => {
        const pass = (): void => {
          server.write(first);
          upwards();
          client.resume();
        };
        client.pause();
        if (this.#holds?.test(first.toString("latin1"))) this.#held.push(pass);
        else pass();
      });
    }
    forward(pair, server, client, (chunk) => {
      if (this.#swallows) this.#swallowed += chunk.toString("latin1");
      return !this.#swallows;
    });
    const drop = (): void => {
      this.#pairs.delete(pair);
      client.destroy();
      server.destroy();
    };
    // A broken connection breaks on both sides; an end is passed on by `forward`.
    for (const socket of [client, server]) {
      socket.on("error", drop);
      socket.on("close", drop);
    }
  }
}

/** Passes on what `passes` says, with back-pressure. */
function forward(pair: Pair, from: Socket, to: Socket, passes: (chunk: Buffer) => boolean): void {
  from.on("data", (chunk) => {
    if (!passes(chunk) || to.destroyed || to.writableEnded || to.write(chunk)) return;
    from.pause();
    to.once("drain", () => {
      if (!pair.stalled) from.resume();
    });
  });
  from.on("end", () => {
    if (passes(Buffer.alloc(0))) to.end();
  });
}
