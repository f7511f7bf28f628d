import {
  isOffset,
  type Missed,
  type MissedReason,
  type Position,
  parseEvent,
  parseUserId,
  UsercastError,
} from "@usercast/protocol";
import type { Namespace, Server, Socket } from "socket.io";
import { Questions } from "./ask.ts";
import { memory } from "./broker/memory.ts";
import type { Connection } from "./connection.ts";
import { Delivery } from "./delivery.ts";
import { decodeArguments } from "./encode.ts";
import { type DefaultEvents, type EventData, type EventMap, type EventName, Handlers } from "./events.ts";
import { packetFormat } from "./link.ts";
import { checkNodes, type ResolvedOptions, resolveOptions, type UsercastOptions } from "./options.ts";
import type { Broker, DeviceFilter } from "./ports.ts";
import { PushLog } from "./pushes.ts";
import type { Receipt } from "./receipt.ts";
import { Receipts } from "./receipts.ts";
import { Registration } from "./registration.ts";
import { type Outcome, Sender } from "./send.ts";
import { Target, type TargetContext } from "./target.ts";
import { type MessageTrace, traceOf } from "./trace.ts";
import { Turns } from "./turns.ts";
import { UserSends } from "./user-sends.ts";

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
  readonly state: Connection["state"];
  /** The newest offset it was sent. */
  readonly sent: number;
  /** Everything up to here has arrived. */
  readonly confirmed: number;
}

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

/** Counts of one server, since it was attached or now. */
export interface UsercastStats {
  /** Users with a connection now. */
  readonly users: number;
  readonly connections: number;
  /** Ranges of messages that connections had to do without, by their reasons. */
  readonly missed: Readonly<Record<MissedReason, number>>;
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
  /** A connection was told that messages will not come. */
  readonly missed: (connection: UserConnection, missed: Missed) => void;
  /** Something failed that no call could answer; logged when nobody listens. */
  readonly error: (error: UsercastError) => void;
}

const LIFECYCLE: ReadonlySet<string> = new Set([
  "online",
  "offline",
  "connection",
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
  readonly #delivery: Delivery;
  readonly #sender: Sender;
  readonly #receipts: Receipts;
  readonly #questions: Questions;
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
    this.#delivery = new Delivery({
      ...this.#options,
      broker,
      pushes: this.#pushes,
      turns: new Turns(this.#options.pagesPerTurn),
      onPresence: (event, userId) => this.#handlers.call(event, userId),
      onControl: () => {},
      onConnection: (connection) => this.#handlers.call("connection", describe(connection)),
      onMissed: (connection, missed) => this.#handlers.call("missed", describe(connection), missed),
      onError: report,
    });
    const { hub } = this.#delivery;
    this.#receipts = new Receipts({ broker, maxPending: this.#options.maxPendingReceipts, onError: report });
    const receipts = this.#receipts;
    const isConnected = (userId: string): boolean => hub.get(userId) !== undefined;
    this.#sender = new Sender({ ...this.#options, broker, receipts, report, isConnected });
    this.#questions = new Questions({ ...this.#options, hub });
    const context = {
      options: this.#options,
      delivery: this.#delivery,
      userSends: new UserSends({ options: this.#options, broker, hub, sender: this.#sender, receipts }),
      format: packetFormat(this.#namespace.server),
      onEvent: (registration: Registration, event: string, args: readonly unknown[]) =>
        this.#onUserEvent(registration, event, args),
      onError: report,
      onEnd: (registration: Registration) => this.#registrations.delete(registration),
    };
    this.#attach = (socket) => this.#registrations.add(new Registration(socket, context));
    this.#namespace.on("connection", this.#attach);
    for (const socket of this.#namespace.sockets.values()) this.#attach(socket);
    attached.add(this.#namespace);
  }

  /** Addresses one user: sending answers with a receipt. Never throws. */
  to(user: string | number): Target<ToUser, Receipt>;
  /** Addresses several users: sending answers with one outcome each. Never throws. */
  to(users: readonly (string | number)[]): Target<ToUser, readonly Outcome[]>;
  to(to: string | number | readonly (string | number)[]): Target<ToUser, Receipt> | Target<ToUser, readonly Outcome[]> {
    const context: TargetContext = {
      sender: this.#sender,
      questions: this.#questions,
      report: (error) => this.#report(error),
    };
    return Array.isArray(to)
      ? new Target<ToUser, readonly Outcome[]>(context, { users: [...to], single: false })
      : new Target<ToUser, Receipt>(context, { users: [to], single: true });
  }

  /**
   * Whether a user is connected, where, and when they last were.
   * @throws UsercastError `INVALID_USER_ID`
   */
  async presence(user: string | number): Promise<UserPresence> {
    const userId = parseUserId(user);
    const connections = [...(this.#delivery.hub.get(userId)?.all ?? [])];
    const lastSeen = this.#delivery.presence.lastSeen(userId);
    return {
      userId,
      online: connections.length > 0,
      connections: connections.length,
      devices: [...new Set(connections.map(({ info }) => info.device))],
      ...(lastSeen === undefined ? {} : { lastSeen }),
    };
  }

  /**
   * The connections of a user, oldest first.
   * @throws UsercastError `INVALID_USER_ID`
   */
  async connections(user: string | number): Promise<readonly UserConnection[]> {
    return [...(this.#delivery.hub.get(parseUserId(user))?.all ?? [])].map(describe);
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

  /** How many there are, and how many messages had to be done without. */
  stats(): UsercastStats {
    const { hub, missed } = this.#delivery;
    let connections = 0;
    for (const _ of hub.connections()) connections += 1;
    return { users: hub.users, connections, missed };
  }

  /**
   * Ends every connection of a user, telling them `reason`; they stay away unless `reconnect` is true. Answers how many there were.
   * @throws UsercastError `INVALID_USER_ID`
   */
  async disconnect(
    user: string | number,
    options: { readonly reason?: string; readonly reconnect?: boolean } = {},
  ): Promise<number> {
    return this.#delivery.disconnect(parseUserId(user), "DISCONNECTED", options.reconnect === true, options.reason);
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
    this.#sender.close();
    this.#questions.close();
    for (const registration of this.#registrations) registration.detach();
    await this.#delivery.close();
    await this.#receipts.close();
    if (this.#ownBroker) await this.#broker.close();
    attached.delete(this.#namespace);
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

function describe({ info, state, sent, confirmed }: Connection): UserConnection {
  const { userId, socketId, device, session, connectedAt } = info;
  return { userId, socketId, device, connectedAt, state, sent, confirmed, ...(session === undefined ? {} : { session }) };
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
