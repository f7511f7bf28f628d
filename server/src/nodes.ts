import { EVENTS, type ReceiptNotice, UsercastError } from "@usercast/protocol";
import type { Connection, ConnectionState } from "./connection.ts";
import type { Delivery } from "./delivery.ts";
import type { Clock, PlacedConnection, Presence, PresentUser } from "./ports.ts";
import type { Fields, Switchboard } from "./switchboard.ts";

/** Whether a user is connected now. */
export interface UserPresence {
  readonly userId: string;
  /** Whether at least one connection lives. The `offline` event comes later, after the grace period. */
  readonly online: boolean;
  readonly connections: number;
  /** The devices connected now; all clients without the SDK are the one device `"plain"`. */
  readonly devices: readonly string[];
  /** When the last connection ended, in milliseconds since 1970, as long as that is remembered. */
  readonly lastSeen?: number;
}

/** One connection of a user, as the application sees it. */
export interface UserConnection {
  readonly userId: string;
  readonly socketId: string;
  readonly device: string;
  readonly session?: string;
  /** Milliseconds since 1970. */
  readonly connectedAt: number;
  /** `unknown`: it is at another node, which did not say in time. */
  readonly state: ConnectionState | "unknown";
  /** The newest offset it was sent; 0 where that is unknown. */
  readonly sent: number;
  /** Everything up to here has arrived; 0 where that is unknown. */
  readonly confirmed: number;
}

/** Some of the users who are online. */
export interface OnlinePage {
  readonly users: readonly UserPresence[];
  /** Where the next page begins; absent at the end. */
  readonly cursor?: string;
}

/** How connections are ended. */
export interface DisconnectSettings {
  /** What they are told. */
  readonly reason?: string;
  /**
   * Whether they may come back.
   * @default false
   */
  readonly reconnect?: boolean;
  /**
   * The one device whose connections end; `"plain"` is every client without the SDK.
   * @default all
   */
  readonly device?: string;
}

/** How long other nodes may take to say what they did. */
const REPLY_MS = 2_000;

/** What a connection is to the application. */
export function describe({ info, state, sent, confirmed }: Connection): UserConnection {
  const { userId, socketId, device, session, connectedAt } = info;
  return { userId, socketId, device, connectedAt, state, sent, confirmed, ...(session === undefined ? {} : { session }) };
}

const presenceOf = ({ userId, connections, lastSeen }: PresentUser): UserPresence => ({
  userId,
  online: connections.length > 0,
  connections: connections.length,
  devices: [...new Set(connections.map(({ device }) => device))],
  ...(lastSeen !== undefined && { lastSeen }),
});

/** What `Nodes` stand on. */
export interface NodesParts {
  readonly delivery: Delivery;
  readonly presence: Presence;
  readonly switchboard: Switchboard;
  readonly clock: Clock;
}

/** The connections of users, wherever they are. */
export class Nodes {
  readonly #parts: NodesParts;

  constructor(parts: NodesParts) {
    this.#parts = parts;
    const { switchboard, presence, delivery } = parts;
    const node = (): string => presence.node;
    switchboard.handle("describe", (userId, _, { reply }) => {
      reply({ at: node(), sockets: delivery.connectionsOf(userId).map(describe) });
    });
    switchboard.handle("disconnect", (userId, fields, { reply }) => {
      const closed = this.#close(userId, fields);
      reply({ at: node(), sockets: closed.map((socketId) => ({ socketId })) });
    });
    switchboard.handle("evict", (userId, { socketId }, { reply }) => {
      if (delivery.evict(userId, String(socketId))) reply({});
    });
    switchboard.handle("receipt", (userId, { notice }) => this.#showReceipt(userId, notice as ReceiptNotice));
  }

  /** Where users are, in the order of their ids; one round trip for all whom one part of the store knows. */
  async presence(userIds: readonly string[]): Promise<readonly UserPresence[]> {
    return (await this.#parts.presence.find(userIds)).map(presenceOf);
  }

  async online(cursor: string | undefined, limit: number): Promise<OnlinePage> {
    const { users, cursor: next } = await this.#parts.presence.list(cursor, limit);
    return { users: users.map(presenceOf), ...(next !== undefined && { cursor: next }) };
  }

  /** The connections of a user, oldest first. */
  async connections(userId: string): Promise<readonly UserConnection[]> {
    const here = new Map(this.#parts.delivery.connectionsOf(userId).map((one) => [one.info.socketId, describe(one)]));
    if (this.#parts.switchboard.isAlone) return [...here.values()];
    const present = await this.#present(userId);
    const elsewhere = present.filter(({ socketId }) => !here.has(socketId));
    const replies = await this.#gather(userId, "describe", {}, elsewhere);
    const all = new Map<string, UserConnection>();
    for (const { node: _, ...placed } of present) {
      const unknown = { ...placed, state: "unknown", sent: 0, confirmed: 0 } as const;
      const known = here.get(placed.socketId) ?? (replies.get(placed.socketId) as UserConnection | undefined);
      all.set(placed.socketId, known ?? unknown);
    }
    for (const [socketId, connection] of here) all.set(socketId, connection);
    return [...all.values()];
  }

  /** Closes connections of a user; answers how many are known to have been closed. */
  async disconnect(userId: string, { reason, reconnect = false, device }: DisconnectSettings): Promise<number> {
    const fields = { ...(reason !== undefined && { reason }), reconnect, ...(device !== undefined && { device }) };
    if (this.#parts.switchboard.isAlone) return this.#close(userId, fields).length;
    const present = await this.#present(userId);
    const here = this.#close(userId, fields);
    const elsewhere = present.filter((one) => !here.includes(one.socketId) && (device === undefined || one.device === device));
    return here.length + (await this.#gather(userId, "disconnect", fields, elsewhere)).size;
  }

  /** Has the node of a connection close it, because it had to make room for another. */
  async evict(userId: string, socketId: string): Promise<void> {
    const { switchboard, clock } = this.#parts;
    let hangUp = (): void => {};
    const end = await switchboard.call({ userId, kind: "evict", fields: { socketId }, onReply: () => hangUp() });
    const cancel = clock.after(REPLY_MS, end);
    hangUp = (): void => {
      cancel();
      end();
    };
  }

  /** Tells the connections of a user what became of a message. */
  tellReceipt(userId: string, notice: ReceiptNotice): void {
    this.#showReceipt(userId, notice);
    this.#parts.switchboard.tell(userId, "receipt", { notice });
  }

  #showReceipt(userId: string, notice: ReceiptNotice): void {
    for (const connection of this.#parts.delivery.connectionsOf(userId)) {
      // Who does not show what they read is not shown what others do.
      if (notice.state !== "read" || connection.info.readReceipts) connection.control(EVENTS.receipt, notice);
    }
  }

  #close(userId: string, { reason, reconnect, device }: Fields): readonly string[] {
    const connections = this.#parts.delivery
      .connectionsOf(userId)
      .filter(({ info }) => device === undefined || info.device === device);
    for (const one of connections) {
      one.close("DISCONNECTED", reconnect === true, typeof reason === "string" ? reason : undefined);
    }
    return connections.map(({ info }) => info.socketId);
  }

  async #present(userId: string): Promise<readonly PlacedConnection[]> {
    try {
      const [user] = await this.#parts.presence.find([userId]);
      return user?.connections ?? [];
    } catch (error) {
      throw UsercastError.from(error, "UNAVAILABLE");
    }
  }

  /** Has the nodes of these connections do something, and waits until each has said what it did, or the time is over. */
  async #gather(
    userId: string,
    kind: string,
    fields: Fields,
    connections: readonly PlacedConnection[],
  ): Promise<ReadonlyMap<string, Fields>> {
    const { switchboard, clock } = this.#parts;
    const replies = new Map<string, Fields>();
    const waiting = new Set(connections.map(({ node }) => node));
    if (waiting.size === 0) {
      // One that is about to come is told all the same.
      switchboard.tell(userId, kind, fields);
      return replies;
    }
    let finish = (): void => {};
    const isOver = new Promise<void>((resolve) => {
      finish = resolve;
    });
    const cancel = clock.after(REPLY_MS, finish);
    const end = await switchboard.call({
      userId,
      kind,
      fields,
      onReply: ({ at, sockets }) => {
        for (const one of sockets as readonly Fields[]) replies.set(String(one["socketId"]), one);
        waiting.delete(String(at));
        if (waiting.size === 0) finish();
      },
    });
    try {
      await isOver;
    } finally {
      cancel();
      end();
    }
    return replies;
  }
}
