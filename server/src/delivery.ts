import type { ErrorCode, Missed, MissedReason } from "@usercast/protocol";
import { Connection, type ConnectionInfo } from "./connection.ts";
import type { ConnectionContext, ConnectionListener } from "./context.ts";
import { CursorWriter } from "./cursors.ts";
import { Hub, type UserConnections } from "./hub.ts";
import type { Link } from "./link.ts";
import type { Control, CursorMove, Unsubscribe } from "./ports.ts";
import { PresenceTracker } from "./presence.ts";

/** How a `Delivery` works. */
export interface DeliveryOptions extends ConnectionContext {
  readonly maxConnectionsPerUser: number;
  readonly cursorIntervalMs: number;
  readonly maxWaitingCursors: number;
  readonly maxOwedUsers: number;
  readonly owedMs: number;
  readonly presenceGraceMs: number;
  readonly maxLastSeen: number;
  readonly onPresence: (event: "online" | "offline", userId: string) => void;
  /** Told of what other nodes want of a user's connections here. */
  readonly onControl: (userId: string, control: Control) => void;
  readonly onConnection: (connection: Connection) => void;
  readonly onMissed: (connection: Connection, missed: Missed) => void;
  readonly onError: (error: unknown) => void;
}

/**
 * Brings mailboxes to connections: everything between the broker and the links. Knows no socket, so that it can run under a
 * simulator.
 */
export class Delivery implements ConnectionListener {
  readonly hub: Hub;
  readonly presence: PresenceTracker;
  readonly #options: DeliveryOptions;
  readonly #cursors: CursorWriter;
  /** One per user with connections. */
  readonly #subscriptions = new Map<UserConnections, Promise<Unsubscribe>>();
  readonly #missed: Record<MissedReason, number> = { expired: 0, trimmed: 0, epoch: 0, rewound: 0 };
  /** Ends of subscriptions under way. */
  readonly #ending = new Set<Promise<void>>();

  constructor(options: DeliveryOptions) {
    this.#options = options;
    this.hub = new Hub(options);
    const { broker, clock, onPresence: onEvent, onError } = options;
    this.presence = new PresenceTracker({
      clock,
      graceMs: options.presenceGraceMs,
      maxLastSeen: options.maxLastSeen,
      onEvent,
    });
    this.#cursors = new CursorWriter({
      broker,
      clock,
      intervalMs: options.cursorIntervalMs,
      maxWaiting: options.maxWaitingCursors,
      onError,
    });
  }

  /** Ranges of messages that connections had to do without since the start, by their reasons. */
  get missed(): Readonly<Record<MissedReason, number>> {
    return { ...this.#missed };
  }

  /** A connection's beginning: counted from now on, delivered to as soon as its start is known. */
  add(info: ConnectionInfo, link: Link, plain: boolean): Connection {
    const group = this.hub.open(info.userId);
    const [oldest] = group.all;
    if (oldest !== undefined && group.all.size >= this.#options.maxConnectionsPerUser)
      oldest.close("TOO_MANY_CONNECTIONS", false);
    const connection = new Connection(info, plain, { link, context: this.#options, listener: this });
    // Closing the oldest may have closed the group.
    const open = this.hub.open(info.userId);
    open.all.add(connection);
    this.presence.connected(info.userId);
    this.#options.onConnection(connection);
    return connection;
  }

  /** Subscribes, finds the connection's start and begins to deliver; a failure closes the connection. */
  async join(connection: Connection): Promise<void> {
    const { userId } = connection.info;
    const group = this.hub.get(userId);
    if (group === undefined || !group.all.has(connection)) return;
    try {
      await this.#subscribe(group);
      await this.#cursors.flush(userId);
      await connection.join(connection.plain ? (epoch, offset) => group.beginPlain(epoch, offset) : undefined);
    } catch (error) {
      this.#options.onError(error);
      connection.close("UNAVAILABLE", true);
    }
  }

  /** Closes every connection of a user; answers how many there were. */
  disconnect(userId: string, code: ErrorCode, reconnect: boolean, reason?: string): number {
    const connections = [...(this.hub.get(userId)?.all ?? [])];
    for (const connection of connections) connection.close(code, reconnect, reason);
    return connections.length;
  }

  onMoved(connection: Connection, move: CursorMove): void {
    const { plain, epoch, info } = connection;
    const { userId, device, transient = false } = info;
    const isShared = plain && move.delivered !== undefined;
    const own = isShared ? this.hub.get(userId)?.plainMove(epoch, move) : { ...move, transient };
    if (own !== undefined) this.#cursors.moved(userId, device, epoch, own);
  }

  onMissed(connection: Connection, missed: Missed): void {
    this.#missed[missed.reason] += 1;
    this.#options.onMissed(connection, missed);
  }

  onError(error: unknown): void {
    this.#options.onError(error);
  }

  onClosed(connection: Connection): void {
    const { userId } = connection.info;
    const group = this.hub.get(userId);
    if (group === undefined || !group.all.has(connection)) return;
    group.remove(connection);
    this.presence.disconnected(userId);
    void this.#cursors.flush(userId);
    if (group.all.size === 0) {
      this.hub.close(userId);
      this.#unsubscribe(group);
    }
  }

  /** Lets go of every connection, writes the cursors that wait and ends every subscription. */
  async close(): Promise<void> {
    for (const connection of [...this.hub.connections()]) connection.gone();
    this.presence.close();
    await this.#cursors.close();
    await Promise.all(this.#ending);
  }

  #subscribe(group: UserConnections): Promise<Unsubscribe> {
    const known = this.#subscriptions.get(group);
    if (known !== undefined) return known;
    const made = this.#options.broker.subscribe(group.userId, group);
    this.#subscriptions.set(group, made);
    // The next connection tries again, unless one has begun to: a group that is owed something is used again.
    made.catch(() => {
      if (this.#subscriptions.get(group) === made) this.#subscriptions.delete(group);
    });
    return made;
  }

  #unsubscribe(group: UserConnections): void {
    const subscription = this.#subscriptions.get(group);
    if (subscription === undefined) return;
    this.#subscriptions.delete(group);
    const end = subscription
      .then((unsubscribe) => unsubscribe())
      .catch((error: unknown) => this.#options.onError(error))
      .finally(() => this.#ending.delete(end));
    this.#ending.add(end);
  }
}
