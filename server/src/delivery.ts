import { randomBytes } from "node:crypto";
import { type Missed, type MissedReason, PLAIN_DEVICE, type Position } from "@usercast/protocol";
import { Connection } from "./connection.ts";
import type { ConnectionContext, ConnectionInfo, ConnectionListener } from "./context.ts";
import { CursorWriter } from "./cursors.ts";
import { HeldBack } from "./held-back.ts";
import { Hub, type UserConnections } from "./hub.ts";
import type { Link } from "./link.ts";
import type { Control, CursorMove, Presence, Unsubscribe } from "./ports.ts";

/** How a `Delivery` works. */
export interface DeliveryOptions extends ConnectionContext {
  readonly presence: Presence;
  readonly cursorIntervalMs: number;
  readonly maxWaitingCursors: number;
  readonly owedMs: number;
  readonly inheritedMs: number;
  /** Told of a connection that had to make room, and is not at this node. */
  readonly onEvicted: (userId: string, socketId: string) => void;
  /** Told of what other nodes want of a user's connections here. */
  readonly onControl: (userId: string, control: Control) => void;
  /** Told of a connection that may stay. */
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
  readonly #options: DeliveryOptions;
  readonly #cursors: CursorWriter;
  readonly #missed: Record<MissedReason, number> = { expired: 0, trimmed: 0, epoch: 0, rewound: 0 };
  readonly #heldBack: HeldBack;
  /** Ends of subscriptions under way. */
  readonly #ending = new Set<Promise<void>>();

  constructor(options: DeliveryOptions) {
    this.#options = options;
    this.hub = new Hub({ ...options, holder: randomBytes(9).toString("base64url") });
    const { broker, clock, onError } = options;
    this.#cursors = new CursorWriter({
      broker,
      clock,
      intervalMs: options.cursorIntervalMs,
      maxWaiting: options.maxWaitingCursors,
      onError,
    });
    this.#heldBack = new HeldBack(options, ({ userId }, epoch, move) => this.#cursors.moved(userId, PLAIN_DEVICE, epoch, move));
  }

  /** Ranges of messages that connections had to do without since the start, by their reasons. */
  get missed(): Readonly<Record<MissedReason, number>> {
    return { ...this.#missed };
  }

  /** A connection's beginning: there from now on, delivered to as soon as it may stay and its start is known. */
  add(info: ConnectionInfo, link: Link, plain: boolean): Connection {
    const connection = new Connection(info, plain, { link, context: this.#options, listener: this });
    this.hub.open(info.userId).add(connection);
    return connection;
  }

  /** Makes it present, subscribes, finds its start and begins to deliver; a failure closes the connection. */
  async join(connection: Connection): Promise<void> {
    const { userId } = connection.info;
    const group = this.hub.get(userId);
    if (group === undefined || !group.all.includes(connection)) return;
    try {
      const [mayStay] = await Promise.all([this.#attach(connection), this.#subscribe(group)]);
      if (!mayStay) return;
      await this.#cursors.flush(userId);
      await connection.join(connection.plain ? (...where) => this.#enter(connection, group, ...where) : undefined);
    } catch (error) {
      this.#options.onError(error);
      connection.close("UNAVAILABLE", true);
    }
  }

  /** The connections of a user to this node, oldest first. */
  connectionsOf(userId: string): readonly Connection[] {
    return this.hub.get(userId)?.all ?? [];
  }

  /** Closes a connection that had to make room for another; answers whether it is at this node. */
  evict(userId: string, socketId: string): boolean {
    const connection = this.connectionsOf(userId).find(({ info }) => info.socketId === socketId);
    connection?.close("TOO_MANY_CONNECTIONS", false);
    return connection !== undefined;
  }

  onMoved(connection: Connection, move: CursorMove): void {
    const { plain, epoch, info } = connection;
    const { userId, device, transient = false } = info;
    const group = plain && move.delivered !== undefined ? this.hub.get(userId) : undefined;
    const own = group === undefined ? { ...move, transient } : group.plainMove(epoch, move);
    if (own === undefined) return;
    this.#cursors.moved(userId, device, epoch, own);
    if (group !== undefined) this.#heldBack.add(group);
  }

  onMissed(connection: Connection, missed: Missed): void {
    this.#missed[missed.reason] += 1;
    this.#options.onMissed(connection, missed);
  }

  onError(error: unknown): void {
    this.#options.onError(error);
  }

  onClosed(connection: Connection, isLost: boolean): void {
    const { userId } = connection.info;
    const group = this.hub.get(userId);
    if (group === undefined || !group.all.includes(connection)) return;
    if (isLost) group.forget();
    group.remove(connection);
    // What is not in the log any more is not for the others either; none of them may hold a place for who comes back.
    if (isLost) for (const other of group.all) other.close("EPOCH_CHANGED", true);
    // It holds the cursor no longer, or by what it is owed.
    if (connection.plain) this.onMoved(connection, { delivered: connection.confirmed });
    void this.#options.presence.detach(userId, connection.info.socketId);
    void this.#cursors.flush(userId);
    if (group.all.length === 0) {
      this.hub.close(userId);
      this.#unsubscribe(group);
    }
  }

  /** Lets go of every connection, writes the cursors that wait and ends every subscription. */
  async close(): Promise<void> {
    for (const connection of [...this.hub.connections()]) connection.gone();
    this.#heldBack.close();
    await this.#cursors.close();
    await this.#options.presence.close();
    await Promise.all(this.#ending);
  }

  /** Whether a connection may stay. Others of its user may have to make room for it. */
  async #attach(connection: Connection): Promise<boolean> {
    const { presence, onEvicted, onConnection } = this.#options;
    const { userId, socketId, device, session, connectedAt } = connection.info;
    // No more than is to be told of it: the secret is nobody else's.
    const own = { userId, socketId, device, connectedAt, ...(session !== undefined && { session }) };
    const { accepted, evicted } = await presence.attach(own);
    for (const one of evicted) if (!this.evict(userId, one)) onEvicted(userId, one);
    if (!accepted) connection.close("TOO_MANY_CONNECTIONS", false, "The user has as many connections as allowed.");
    if (connection.state === "closed") return false;
    onConnection(connection);
    return true;
  }

  /** A plain connection has its start, from which on no node may pass what it is owed. */
  async #enter(connection: Connection, group: UserConnections, ...where: [number | undefined, Position]): Promise<void> {
    const { userId, device } = connection.info;
    const move = group.enter(connection, ...where);
    if (move === undefined) return;
    this.#cursors.moved(userId, device, connection.epoch, move);
    // What one process writes is in order anyway; other nodes have to know before anything is pushed.
    if (this.#options.broker.scope === "cluster") await this.#cursors.flush(userId);
  }

  #subscribe(group: UserConnections): Promise<Unsubscribe> | Unsubscribe {
    if (group.subscription !== undefined) return group.subscription;
    const made = this.#options.broker.subscribe(group.userId, group);
    group.subscription = made;
    const become = (subscription: Unsubscribe | undefined): void => {
      if (group.subscription === made) group.subscription = subscription;
    };
    // After a failure the next connection tries again, unless one has begun to: a group that is owed something is used again.
    made.then(become, () => become(undefined));
    return made;
  }

  #unsubscribe(group: UserConnections): void {
    const { subscription } = group;
    if (subscription === undefined) return;
    group.subscription = undefined;
    const end = Promise.resolve(subscription)
      .then((unsubscribe) => unsubscribe())
      .catch((error: unknown) => this.#options.onError(error))
      .finally(() => this.#ending.delete(end));
    this.#ending.add(end);
  }
}
