import {
  type Availability,
  isOffset,
  type Missed,
  type MissedReason,
  PLAIN_DEVICE,
  type Position,
  parseDeviceId,
  parseEvent,
  parseUserId,
  UsercastError,
} from "@usercast/protocol";
import type { Namespace, Server, Socket } from "socket.io";
import { Questions } from "./ask.ts";
import { AvailabilityNotices } from "./availability.ts";
import { memory } from "./broker/memory.ts";
import { Delivery } from "./delivery.ts";
import { decodeArguments } from "./encode.ts";
import { type DefaultEvents, type EventData, type EventMap, type EventName, Handlers } from "./events.ts";
import { packetFormat, type WriteCounts } from "./link.ts";
import { LocalPresence } from "./local-presence.ts";
import { type DisconnectSettings, describe, Nodes, type OnlinePage, type UserConnection, type UserPresence } from "./nodes.ts";
import { checkNodes, type ResolvedOptions, resolveOptions, type UsercastOptions } from "./options.ts";
import type { Broker, DeviceFilter, Presence } from "./ports.ts";
import { PushLog } from "./pushes.ts";
import type { Receipt } from "./receipt.ts";
import { Receipts } from "./receipts.ts";
import { Registration } from "./registration.ts";
import { type Outcome, Sender } from "./send.ts";
import { Switchboard } from "./switchboard.ts";
import { Target, type TargetContext } from "./target.ts";
import { type MessageTrace, traceOf } from "./trace.ts";
import { Turns } from "./turns.ts";
import { UserSends } from "./user-sends.ts";

/** A message in a mailbox, as the application sees it. */
export interface StoredMessage {
  readonly offset: number;
  readonly at: number;
  readonly expiresAt: number;
  readonly event: string;
  readonly data: unknown;
  readonly from?: string;
  readonly key?: string;
  /** Devices it is for, where it is not for all. */
  readonly devices?: DeviceFilter;
}

/** Counts of what is now on all nodes together, and of what happened on this one since it was attached. */
export interface UsercastStats {
  /** Users with a connection to any node. */
  readonly users: number;
  /** Connections to any node. */
  readonly connections: number;
  /** Ranges of messages that connections of this node had to do without, by their reasons. */
  readonly missed: Readonly<Record<MissedReason, number>>;
  /** Frames to connections of this node by the way they went; where all go through the engine, see the log for why. */
  readonly writes: Readonly<WriteCounts>;
}

/** A stretch of a mailbox. */
export interface MailboxPage {
  readonly epoch: string;
  readonly head: Position;
  readonly messages: readonly StoredMessage[];
  /** Read on after this offset; equal to the head's when there is nothing more. */
  readonly through: number;
}

/** The mailbox of one user. */
export interface MailboxHandle {
  /**
   * Messages after `after` (default 0: from the oldest kept), at most `limit` of them (default 100, at most 1,000).
   * @throws UsercastError `INVALID_POSITION` for an offset or a limit that is none, or what the broker says
   */
  read(options?: { readonly after?: number; readonly limit?: number }): Promise<MailboxPage>;
  /** Forgets the user's messages, cursors and idempotency keys. */
  purge(): Promise<void>;
}

/** What accompanies an event that a user sends to the server. */
export interface UserEventContext {
  readonly socket: Socket;
  readonly device: string;
  /** Answers the client's acknowledgement callback, where it gave one. */
  readonly acknowledge?: (answer: unknown) => void;
}

/** What the server tells the application. These names are not available for events of users. */
export interface LifecycleEvents {
  /** A user's first connection. */
  readonly online: (userId: string) => void;
  /** A user has had no connection for the grace period. */
  readonly offline: (userId: string) => void;
  readonly connection: (connection: UserConnection) => void;
  /** This node cannot reach its store any more, or can again; nothing of what was accepted is lost by it. Its SDK clients are told as well. */
  readonly availability: (availability: Availability) => void;
  /** A connection was told that messages will not come. */
  readonly missed: (connection: UserConnection, missed: Missed) => void;
  /** Something failed that no call could answer; logged when nobody listens. */
  readonly error: (error: UsercastError) => void;
}

const LIFECYCLE: ReadonlySet<string> = new Set([
  "online",
  "offline",
  "connection",
  "availability",
  "missed",
  "error",
] satisfies (keyof LifecycleEvents)[]);

const attached = new WeakSet<Namespace>();

/** The user layer of one Socket.IO server or namespace. */
export class Usercast<ToUser = DefaultEvents, FromUser = DefaultEvents> {
  readonly #namespace: Namespace;
  readonly #options: ResolvedOptions;
  readonly #broker: Broker;
  readonly #ownBroker: boolean;
  readonly #switchboard: Switchboard;
  readonly #presence: Presence;
  readonly #delivery: Delivery;
  readonly #nodes: Nodes;
  readonly #sender: Sender;
  readonly #receipts: Receipts;
  readonly #questions: Questions;
  readonly #targetContext: TargetContext;
  readonly #writes: WriteCounts = { direct: 0, engine: 0 };
  #hasWarned = false;
  readonly #availability: AvailabilityNotices;
  readonly #pushes: PushLog;
  readonly #registrations = new Set<Registration>();
  readonly #handlers = new Handlers((error, event) => (event === "error" ? this.#log(error) : this.#report(error)));
  readonly #userHandlers = new Handlers((error) => this.#report(error));
  readonly #attach: (socket: Socket) => void;
  #closing: Promise<void> | undefined;

  /** @throws UsercastError `INVALID_OPTIONS` */
  constructor(target: Server | Namespace, options: UsercastOptions) {
    this.#options = resolveOptions(options);
    this.#namespace = "of" in target ? target.of("/") : target;
    if (attached.has(this.#namespace)) {
      throw new UsercastError("INVALID_OPTIONS", `Usercast is already attached to the namespace ${this.#namespace.name}.`);
    }
    checkNodes(
      options.broker ?? { name: "memory", scope: "process" },
      this.#namespace.adapter.constructor.name,
      this.#options.singleNode,
    );
    this.#ownBroker = options.broker === undefined;
    this.#broker = options.broker ?? memory({ warn: (message) => this.#options.logger.warn(message) });
    const broker = this.#broker;
    const report = (error: unknown): void => this.#report(error);
    this.#pushes = new PushLog(this.#options.maxTracedPushes);
    this.#switchboard = new Switchboard(broker, this.#options.clock);
    const switchboard = this.#switchboard;
    this.#presence = this.#openPresence();
    const presence = this.#presence;
    this.#delivery = new Delivery({
      ...this.#options,
      broker,
      presence,
      pushes: this.#pushes,
      turns: new Turns(this.#options.pagesPerTurn),
      onControl: (userId, control) => switchboard.heard(userId, control),
      onEvicted: (userId, socketId) => void this.#nodes.evict(userId, socketId).catch(report),
      onConnection: (connection) => this.#handlers.call("connection", describe(connection)),
      onMissed: (connection, missed) => this.#handlers.call("missed", describe(connection), missed),
      onError: report,
    });
    const { hub } = this.#delivery;
    const onChanged = (availability: Availability): void => this.#handlers.call("availability", availability);
    this.#availability = new AvailabilityNotices({ ...this.#options, broker, connections: () => hub.connections(), onChanged });
    this.#nodes = new Nodes({ ...this.#options, delivery: this.#delivery, presence, switchboard });
    this.#receipts = new Receipts({ broker, maxPending: this.#options.maxPendingReceipts, onError: report });
    const receipts = this.#receipts;
    const isHere = (userId: string): boolean => hub.get(userId) !== undefined;
    const elsewhere = (userIds: readonly string[]): Promise<ReadonlySet<string>> | undefined =>
      switchboard.isAlone ? undefined : presence.online(userIds.filter((userId) => !isHere(userId)));
    this.#sender = new Sender({ ...this.#options, broker, receipts, report, isHere, elsewhere });
    this.#questions = new Questions({ ...this.#options, hub, presence, switchboard });
    this.#targetContext = { sender: this.#sender, questions: this.#questions, report };
    const context = {
      options: this.#options,
      delivery: this.#delivery,
      userSends: new UserSends({ options: this.#options, broker, nodes: this.#nodes, sender: this.#sender, receipts }),
      format: packetFormat(this.#namespace.server, { writes: this.#writes, onStrange: () => this.#warnOfStrangeness() }),
      onEvent: (registration: Registration, event: string, args: readonly unknown[]) =>
        this.#onUserEvent(registration, event, args),
      onError: report,
      onEnd: (registration: Registration) => this.#registrations.delete(registration),
    };
    this.#attach = (socket) => this.#registrations.add(new Registration(socket, context));
    this.#namespace.on("connection", this.#attach);
    for (const socket of this.#namespace.sockets.values()) this.#attach(socket);
    for (const registration of this.#registrations) registration.listen();
    attached.add(this.#namespace);
  }

  /** Addresses one user: sending answers with a receipt. Never throws. */
  to(user: string | number): Target<ToUser, Receipt>;
  /** Addresses several users: sending answers with one outcome each. Never throws. */
  to(users: readonly (string | number)[]): Target<ToUser, readonly Outcome[]>;
  to(to: string | number | readonly (string | number)[]): Target<ToUser, Receipt> | Target<ToUser, readonly Outcome[]> {
    const context = this.#targetContext;
    return Array.isArray(to)
      ? new Target<ToUser, readonly Outcome[]>(context, { users: [...to], single: false })
      : new Target<ToUser, Receipt>(context, { users: [to], single: true });
  }

  /**
   * Whether a user is connected to any node, where, and when they last were.
   * @throws UsercastError (as a rejection) `INVALID_USER_ID`, or what the broker says
   */
  presence(user: string | number): Promise<UserPresence>;
  /** The same of several users, in their order: for many no dearer than for one. */
  presence(users: readonly (string | number)[]): Promise<readonly UserPresence[]>;
  async presence(user: string | number | readonly (string | number)[]): Promise<UserPresence | readonly UserPresence[]> {
    const users = Array.isArray(user) ? user : [user];
    const { maxRecipients } = this.#options;
    if (users.length > maxRecipients) throw new UsercastError("TOO_MANY_RECIPIENTS", `At most ${maxRecipients} users at once.`);
    const found = await this.#nodes.presence(users.map(parseUserId));
    const [first] = found;
    return Array.isArray(user) || first === undefined ? found : first;
  }

  /**
   * Users who are online, `limit` of them at most (default 100, at most 1,000), and where the next page begins.
   * @throws UsercastError (as a rejection) `INVALID_REQUEST` for a cursor or a limit that is none, or what the broker says
   */
  async online({ cursor, limit = 100 }: { readonly cursor?: string; readonly limit?: number } = {}): Promise<OnlinePage> {
    if (!isOffset(limit) || limit < 1 || limit > 1_000) throw new UsercastError("INVALID_REQUEST", "limit must be 1 to 1,000.");
    return this.#nodes.online(cursor, limit);
  }

  /**
   * The connections of a user to any node, oldest first. Waits two seconds at most for what other nodes know of theirs.
   * @throws UsercastError (as a rejection) `INVALID_USER_ID`, or what the broker says
   */
  async connections(user: string | number): Promise<readonly UserConnection[]> {
    return this.#nodes.connections(parseUserId(user));
  }

  /**
   * Why did this user not get that message? What is known of the message at `offset` in today's mailbox, from the log, the
   * devices' cursors and the latest pushes of this node.
   * @throws UsercastError (as a rejection) `INVALID_USER_ID`, `INVALID_POSITION` for what is no offset, or what the broker says
   */
  async trace(user: string | number, offset: number): Promise<MessageTrace> {
    const userId = parseUserId(user);
    if (!isOffset(offset) || offset < 1) throw new UsercastError("INVALID_POSITION", "An offset is a whole number from 1 up.");
    const [state, page] = await Promise.all([this.#broker.position(userId), this.#broker.read(userId, offset - 1, 1)]);
    const connections = this.#delivery.hub.get(userId)?.all ?? [];
    return traceOf({ userId, offset, state, page, pushes: this.#pushes.of(userId, offset), connections });
  }

  /**
   * How many there are on all nodes, and how many messages had to be done without on this one.
   * @throws UsercastError (as a rejection) what the broker says
   */
  async stats(): Promise<UsercastStats> {
    return { ...(await this.#presence.count()), missed: this.#delivery.missed, writes: { ...this.#writes } };
  }

  /**
   * Ends the connections of a user on all nodes, or those of one device, telling them `reason`; they stay away unless `reconnect` is true.
   * Answers how many are known to have been closed: a node that says nothing within two seconds is not counted.
   * @throws UsercastError (as a rejection) `INVALID_USER_ID`, `INVALID_DEVICE`, or what the broker says
   */
  async disconnect(user: string | number, options: DisconnectSettings = {}): Promise<number> {
    const { device } = options;
    if (device !== undefined && device !== PLAIN_DEVICE) parseDeviceId(device);
    return this.#nodes.disconnect(parseUserId(user), options);
  }

  /**
   * The mailbox of a user.
   * @throws UsercastError `INVALID_USER_ID`
   */
  mailbox(user: string | number): MailboxHandle {
    const userId = parseUserId(user);
    return {
      read: async ({ after = 0, limit = 100 } = {}) => {
        if (!isOffset(after)) throw new UsercastError("INVALID_POSITION", "after must be a whole number from 0 up.");
        if (!isOffset(limit) || limit < 1 || limit > 1_000)
          throw new UsercastError("INVALID_POSITION", "limit must be 1 to 1,000.");
        const { epoch, head, entries, through } = await this.#broker.read(userId, after, limit);
        const messages = entries.map(({ text, attachments, bytes: _bytes, ...entry }) => {
          const [event, data] = decodeArguments({ text, bytes: 0, ...(attachments === undefined ? {} : { attachments }) });
          return { ...entry, event: String(event), data };
        });
        return { epoch, head, messages, through };
      },
      purge: () => this.#broker.purge(userId),
    };
  }

  /** Listens to what the server tells; the returned function stops it. */
  on<E extends keyof LifecycleEvents>(event: E, handler: LifecycleEvents[E]): () => void;
  /**
   * Listens to an event that users send to the server with an ordinary `socket.emit(event, data)`; the returned function stops it.
   * @throws UsercastError `INVALID_EVENT` or `RESERVED_EVENT`
   */
  on<E extends Exclude<EventName<FromUser>, keyof LifecycleEvents>>(
    event: E,
    handler: (userId: string, data: EventData<FromUser, E>[0], context: UserEventContext) => void,
  ): () => void;
  on(event: string, handler: (...args: never[]) => void): () => void {
    if (LIFECYCLE.has(event)) return this.#handlers.on(event, handler);
    return this.#userHandlers.on(parseEvent(event), handler);
  }

  /**
   * Detaches: sockets stay open as ordinary ones, cursors are written, and `io` is as it was. A broker that was given stays
   * open. Safe to call twice.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#namespace.off("connection", this.#attach);
    this.#availability.close();
    this.#sender.close();
    this.#questions.close();
    for (const registration of this.#registrations) registration.detach();
    await this.#delivery.close();
    await this.#receipts.close();
    await this.#switchboard.close();
    if (this.#ownBroker) await this.#broker.close();
    attached.delete(this.#namespace);
  }

  #openPresence(): Presence {
    const { clock, leaseMs, presenceGraceMs, maxLastSeen, maxConnectionsPerUser, takeover } = this.#options;
    const settings = {
      clock,
      leaseMs,
      graceMs: presenceGraceMs,
      maxLastSeen,
      maxConnections: maxConnectionsPerUser,
      takeover,
      onEvent: (event: "online" | "offline", userId: string) => this.#handlers.call(event, userId),
      onError: (error: unknown) => this.#report(error),
    };
    return this.#broker.openPresence?.(settings) ?? new LocalPresence(settings);
  }

  #warnOfStrangeness(): void {
    if (this.#hasWarned) return;
    this.#hasWarned = true;
    this.#options.logger.warn(
      "usercast: WebSockets of this server are not made as those of Engine.IO 6 and ws 8. Everything works, but messages are written " +
        "through Engine.IO, which takes more time than writing them directly.",
    );
  }

  #onUserEvent({ socket, connection }: Registration, event: string, args: readonly unknown[]): void {
    if (connection === undefined || !this.#userHandlers.has(event)) return;
    const last = args.at(-1);
    const acknowledge = typeof last === "function" ? (last as (answer: unknown) => void) : undefined;
    const data = acknowledge === undefined ? args : args.slice(0, -1);
    if (data.length > 1) {
      acknowledge?.({ ok: false, error: new UsercastError("TOO_MANY_DATA").toJSON() });
      return;
    }
    const { userId, device } = connection.info;
    const context: UserEventContext = { socket, device, ...(acknowledge === undefined ? {} : { acknowledge }) };
    this.#userHandlers.call(event, userId, data[0] ?? null, context);
  }

  #report(error: unknown): void {
    if (this.#handlers.has("error")) this.#handlers.call("error", UsercastError.from(error));
    else this.#log(error);
  }

  #log(thrown: unknown): void {
    const error = UsercastError.from(thrown);
    this.#options.logger.error(`usercast: ${error.code}: ${error.message}`, error.cause ?? error);
  }
}

/**
 * Attaches Usercast to a Socket.IO server or to one of its namespaces, which stay the application's.
 *
 * @example
 * const users = usercast(io, { authenticate: jwt({ secret }) });
 * await users.to("user123").emit("message", { text: "hi" });
 *
 * @throws UsercastError `INVALID_OPTIONS`
 */
export function usercast<ToUser extends EventMap<ToUser> = DefaultEvents, FromUser extends EventMap<FromUser> = DefaultEvents>(
  target: Server | Namespace,
  options: UsercastOptions,
): Usercast<ToUser, FromUser> {
  return new Usercast<ToUser, FromUser>(target, options);
}
