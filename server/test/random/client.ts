import type { Position } from "@usercast/protocol";
import type { Connection } from "../../src/connection.ts";
import type { Delivery } from "../../src/delivery.ts";
import type { SocketLink } from "../../src/link.ts";
import { FakeEngine, linkOn } from "./engine.ts";
import type { Stay } from "./plain-client.ts";
import type { SdkClient } from "./sdk-client.ts";

/** What clients need of the run they are part of. */
export interface Run {
  readonly delivery: Delivery;
  /** Counts what happens, to tell what came first. */
  readonly step: () => number;
  /** Whether a page without a place of its own may begin there; `firstPushed` is the lowest offset its device had been pushed when it dialed. */
  readonly checkStart: (page: SdkClient, start: Position, firstPushed: number | undefined) => void;
  /** Notes what must not happen; the check of the run throws it. */
  readonly fail: (what: string) => void;
}

/** Messages pushed to one connection and not confirmed, at most. */
export const WINDOW = 4;

interface Socket {
  readonly link: SocketLink;
  connection: Connection;
}

/** One engine connection after the other, with a socket per namespace on each. */
export abstract class Client {
  readonly run: Run;
  engine: FakeEngine | undefined;
  /** Heartbeats of the client's that have not arrived yet. */
  owed = 0;
  readonly #protocol: number;
  /** For some the window is what holds them up, for others the network. */
  readonly #congestionBytes: number;
  readonly #sockets = new Map<string, Socket>();

  constructor(run: Run, protocol = 4) {
    this.run = run;
    this.#protocol = protocol;
    this.#congestionBytes = run.step() % 2 === 0 ? 150 : 10_000;
  }

  abstract connect(): void;
  /** A message is written for this client; what this makes of it comes back with `took`. */
  protected abstract wrote(namespace: string, args: readonly unknown[]): Stay | undefined;
  protected abstract took(args: readonly unknown[], stay: Stay | undefined): void;
  protected abstract ended(): void;

  protected dial(): void {
    const engine = new FakeEngine(this.#protocol, (data) => this.wrote(...parse(data)));
    this.engine = engine;
    this.owed = this.#protocol === 3 ? 1 : 0;
    engine.once("close", () => this.#end(engine));
  }

  /** Makes the socket a user's, as `Registration` does: one connection after the other on one link. */
  protected become(namespace: string, who: { userId: string; device: string; session?: string; claim?: Position }): Connection {
    const { engine } = this;
    if (engine === undefined) throw new Error("Only who is connected can register.");
    const known = this.#sockets.get(namespace);
    known?.connection.gone();
    const link = known?.link ?? linkOn(engine, namespace, this.#congestionBytes);
    const plain = who.session === undefined;
    const connection = this.run.delivery.add({ ...who, socketId: "", connectedAt: 0, secret: "secret" }, link, plain);
    this.#sockets.set(namespace, { link, connection });
    link.listen(connection, plain);
    return connection;
  }

  /** Takes up to `count` packets from the network. */
  take(count = Number.POSITIVE_INFINITY): void {
    for (let i = 0; i < count; i += 1) {
      const packet = this.engine?.take();
      if (packet === undefined) return;
      if (packet.type === "message") this.took(parse(packet.data)[1], packet.tag as Stay | undefined);
      else this.owed += 1;
    }
  }

  /** Heartbeats of the client's reach the server. */
  beat(count = Number.POSITIVE_INFINITY): void {
    for (let left = Math.min(count, this.owed); left > 0; left -= 1) {
      this.owed -= 1;
      this.engine?.arrives(this.#protocol === 3 ? "ping" : "pong");
    }
  }

  #end(engine: FakeEngine): void {
    for (const { link, connection } of this.#sockets.values()) {
      connection.gone();
      link.release();
    }
    this.#sockets.clear();
    this.engine = undefined;
    this.ended();
    // After the turn, because what waits for one may add listeners again.
    setImmediate(() => setImmediate(() => engine.leftovers.length > 0 && this.run.fail(`left on: ${engine.leftovers}`)));
  }
}

const parse = (data: string): [namespace: string, args: readonly unknown[]] => {
  const [, namespace = "/", args = "[]"] = /^2(?:(\/\w+),)?(\[.*)$/.exec(data) ?? [];
  return [namespace, JSON.parse(args) as unknown[]];
};
