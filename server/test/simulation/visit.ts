import type { Connection } from "../../src/connection.ts";
import type { ConnectionInfo } from "../../src/context.ts";
import type { SocketLink } from "../../src/link.ts";
import type { Core } from "./core.ts";
import type { Node } from "./node.ts";
import type { HighWater } from "./record.ts";
import { type Downward, type Upward, Wire } from "./wire.ts";

/** What a client makes of one connection of its engine. */
export interface Visitor {
  readonly name: string;
  readonly protocol: 3 | 4;
  /** The server writes a Socket.IO packet; what this answers comes back with `took`. */
  wrote(visit: Visit, packet: SocketPacket): unknown;
  took(visit: Visit, packet: SocketPacket, note: unknown, writtenAt: number): void;
  arrived(visit: Visit, event: Extract<Upward, { type: "event" }>): void;
  /** The client finds the connection gone. */
  left(visit: Visit): void;
  /** The server has let go of it. */
  ended(visit: Visit): void;
}

/** A packet of Socket.IO's, taken apart. */
export interface SocketPacket {
  readonly type: "connect" | "disconnect" | "event" | "answer";
  readonly namespace: string;
  readonly answer: number | undefined;
  readonly args: readonly unknown[];
}

const TYPES = { "0": "connect", "1": "disconnect", "2": "event", "3": "answer" } as const;

const parse = (text: string): SocketPacket => {
  const [, type = "1", namespace = "/", answer, args] = /^([0-3])(?:(\/\w+),)?(\d+)?(\[.*\])?$/.exec(text) ?? [];
  return {
    type: TYPES[type as keyof typeof TYPES],
    namespace,
    answer: answer === undefined ? undefined : Number(answer),
    args: args === undefined ? [] : (JSON.parse(args) as unknown[]),
  };
};

interface Noted {
  readonly packet: SocketPacket;
  readonly note: unknown;
}

interface Socket {
  readonly link: SocketLink;
  connection: Connection;
}

/** How much is under way to one connection that has not confirmed it, by the numbers of messages. */
export class Gauge {
  readonly high: HighWater;
  readonly #open = new Map<number, number>();
  #bytes = 0;

  constructor(who: string) {
    this.high = { who, messages: 0, bytes: 0, buffered: 0 };
  }

  wrote(key: number, bytes: number, bufferedBefore: number): void {
    this.#open.set(key, bytes);
    this.#bytes += bytes;
    const { high } = this;
    high.messages = Math.max(high.messages, this.#open.size);
    // One message is always allowed, whatever its size.
    if (this.#open.size > 1) high.bytes = Math.max(high.bytes, this.#bytes);
    high.buffered = Math.max(high.buffered, bufferedBefore);
  }

  confirmed(isConfirmed: (key: number) => boolean): void {
    for (const [key, bytes] of this.#open) {
      if (!isConfirmed(key)) continue;
      this.#open.delete(key);
      this.#bytes -= bytes;
    }
  }
}

/** One engine connection to a node, as the server's side of it: a socket per namespace, and who each is registered to. */
export class Visit {
  readonly node: Node;
  readonly wire: Wire;
  readonly #visitor: Visitor;
  readonly #sockets = new Map<string, Socket>();

  constructor(node: Node, visitor: Visitor) {
    this.node = node;
    this.#visitor = visitor;
    this.wire = new Wire(visitor.protocol, () => node.run.clock.now(), {
      wrote: (data): Noted => {
        const packet = parse(data);
        return { packet, note: visitor.wrote(this, packet) };
      },
      took: ({ tag, writtenAt }: Downward) => {
        const { packet, note } = tag as Noted;
        visitor.took(this, packet, note, writtenAt);
      },
      clientClosed: () => visitor.left(this),
      arrived: (event) => visitor.arrived(this, event),
    });
    this.wire.once("close", () => this.#end());
    node.visits.add(this);
  }

  /** Makes a socket a user's, as `Registration` does: one connection after the other on one link. */
  become(namespace: string, who: Pick<ConnectionInfo, "userId" | "device" | "session" | "claim">): Connection {
    const known = this.#sockets.get(namespace);
    known?.connection.gone();
    const link = known?.link ?? this.#link(namespace);
    const plain = who.session === undefined;
    const { delivery, run } = this.node;
    const info = { ...who, socketId: `socket-${run.step()}`, connectedAt: run.clock.now(), secret: "secret", readReceipts: true };
    const connection = delivery.add(info, link, plain);
    this.#sockets.set(namespace, { link, connection });
    link.listen(connection, plain);
    return connection;
  }

  /** The node was killed: up to `taken` of what was written still arrives. */
  lost(taken: number): void {
    this.wire.abandon();
    this.node.visits.delete(this);
    this.#visitor.ended(this);
    this.wire.take(taken);
    this.wire.endClient();
  }

  #link(namespace: string): SocketLink {
    const { core, bounds, random } = this.node.run;
    // For some the window is what holds them up, for others the network.
    const congestionBytes = random(2) === 0 ? bounds.congestionBytes / 10 : bounds.congestionBytes;
    return linkOn(core, this.wire, namespace, congestionBytes);
  }

  #end(): void {
    this.node.visits.delete(this);
    for (const { link, connection } of this.#sockets.values()) {
      connection.gone();
      link.release();
    }
    this.#sockets.clear();
    this.#visitor.ended(this);
    // After the turn, because what waits for one may add listeners again.
    const look = (): void => {
      if (this.wire.leftovers.length > 0) this.node.run.wrong(`left on a closed connection: ${this.wire.leftovers}`);
    };
    setImmediate(() => setImmediate(look));
  }
}

/** The link of one namespace's socket on an engine connection; more than `congestionBytes` in flight are too many. */
export function linkOn(core: Pick<Core, "SocketLink">, wire: Wire, namespace: string, congestionBytes: number): SocketLink {
  const socket = {
    conn: wire,
    nsp: { name: namespace },
    disconnect: () => {
      wire.write("1");
      wire.close();
    },
    get connected() {
      return wire.isOpen;
    },
  };
  const format = { customEncode: undefined, recovery: false };
  return new core.SocketLink(socket as unknown as ConstructorParameters<Core["SocketLink"]>[0], format, congestionBytes);
}
