import cluster from "node:cluster";
import { parseEvent, REGISTER_EVENT, UsercastError } from "@usercast/protocol";
import type { Authenticate } from "./auth/verify.ts";
import { systemClock } from "./clock.ts";
import type { Broker, Clock, Takeover } from "./ports.ts";

/** Where Usercast writes what nobody listens for. */
export interface Logger {
  warn(message: string): void;
  error(message: string, error?: unknown): void;
}

/**
 * What an `authorize` function answers: whether the message may be sent, and whether its sender learns what became of it:
 * `true` for everything the recipient shows, `"delivered"` for no more than that.
 */
export type Authorization = boolean | { readonly receipts?: boolean | "delivered" };

/** Decides whether `sender` may send this to `recipient`. */
export type Authorize = (
  sender: string,
  recipient: string,
  event: string,
  data: unknown,
) => Authorization | Promise<Authorization>;

/** How `usercast(io, options)` works. Exactly one of `authenticate` and `trustClients` must be given. */
export interface UsercastOptions {
  /** Says which user a socket belongs to, when it connects; `null` leaves the socket alone, a throw refuses it. */
  readonly authenticate?: Authenticate;
  /**
   * Believes any client that claims to be a user. For development only: throws under `NODE_ENV=production`.
   * @default false
   */
  readonly trustClients?: boolean;
  /**
   * The event a client without an identity in its handshake registers with: a user id where clients are trusted, otherwise a token.
   * @default "register" where clients are trusted, otherwise false
   */
  readonly registerEvent?: string | false;
  /**
   * Milliseconds within which a socket must have registered, or it is closed with `REGISTER_TIMEOUT`; false for no limit.
   * @default false
   */
  readonly registerTimeoutMs?: number | false;
  /**
   * Milliseconds an identity may take to be established; then the client is sent away, to come back.
   * @default 10_000
   */
  readonly authenticateTimeoutMs?: number;
  /**
   * Registrations per socket and second; more are answered `RATE_LIMITED`.
   * @default 10
   */
  readonly maxRegistersPerSecond?: number;
  /**
   * Lets go of the HTTP request that a connection came with, once the socket belongs to a user: `socket.request` is `null` from then
   * on, a namespace that the client joins later has a handshake without headers and query, and Engine.IO's middleware finds no `res.req`
   * of a WebSocket any more. Not with WebTransport, which Engine.IO refuses beside any middleware. For servers with many idle connections.
   * @default false
   */
  readonly releaseRequest?: boolean;
  /**
   * Where mailboxes live.
   * @default memory()
   */
  readonly broker?: Broker;
  /**
   * Says that this process is the only one although a cluster worker or a multi-node adapter suggests otherwise.
   * @default false
   */
  readonly singleNode?: boolean;
  /**
   * Allows users to send to users.
   * @default nobody may
   */
  readonly authorize?: Authorize;
  /**
   * Sends per user and period; more are answered `RATE_LIMITED`.
   * @default { points: 20, durationMs: 1_000 }
   */
  readonly sendRate?: { readonly points: number; readonly durationMs: number };
  /**
   * Milliseconds a user may be gone before `offline` is announced.
   * @default 10_000
   */
  readonly presenceGraceMs?: number;
  /**
   * Absent users whose last seen is remembered.
   * @default 100_000
   */
  readonly maxLastSeen?: number;
  /**
   * Connections per user, on all nodes together; with one more, `takeover` says which is closed with `TOO_MANY_CONNECTIONS`.
   * @default 64
   */
  readonly maxConnectionsPerUser?: number;
  /**
   * Who gives way when a user has as many connections as allowed: the `"oldest"` one, or the one that comes (`"reject"`). A session that
   * returns always takes the place of its own earlier connection.
   * @default "oldest"
   */
  readonly takeover?: Takeover;
  /**
   * Milliseconds after which a node that does not renew its lease counts as dead; for brokers of several nodes.
   * @default 15_000
   */
  readonly leaseMs?: number;
  /**
   * Bytes of event and data of one message.
   * @default 65_536 (64 KiB)
   */
  readonly maxPayloadBytes?: number;
  /**
   * Messages pushed to a connection and not yet confirmed.
   * @default 256
   */
  readonly windowMessages?: number;
  /**
   * Bytes pushed to a connection and not yet confirmed; one message is always allowed.
   * @default 1_048_576 (1 MiB)
   */
  readonly windowBytes?: number;
  /**
   * Bytes waiting for the network above which a connection is congested: no direct writes, signals dropped.
   * @default 262_144 (256 KiB)
   */
  readonly congestionBytes?: number;
  /**
   * Messages read from the log at once while a connection catches up.
   * @default 128
   */
  readonly pageMessages?: number;
  /**
   * Pages that all connections together read in one turn of the event loop; the others wait for the next ones.
   * @default 4
   */
  readonly pagesPerTurn?: number;
  /**
   * Milliseconds between two heartbeats that ask plain clients for a confirmation.
   * @default 1_000
   */
  readonly pingIntervalMs?: number;
  /**
   * Milliseconds between two writes of one device's cursor.
   * @default 200
   */
  readonly cursorIntervalMs?: number;
  /**
   * Users whose cursors may wait to be written while the store fails.
   * @default 100_000
   */
  readonly maxWaitingCursors?: number;
  /**
   * Milliseconds that what a broken plain connection had not confirmed is kept for it, once another plain connection of its user
   * is there. Without another one it is kept as long as the mailbox keeps it.
   * @default 600_000 (10 minutes)
   */
  readonly owedMs?: number;
  /**
   * Milliseconds that the cursor plain connections share waits for those of a process that says nothing any more, from when others have
   * confirmed more: any number of those may come back, and the first must not take from the others what it confirms. More than
   * `pingInterval` and `pingTimeout` of Socket.IO together.
   * @default 60_000 (1 minute)
   */
  readonly inheritedMs?: number;
  /**
   * Messages accepted but not yet durable; more are answered `OVERLOADED`.
   * @default 10_000
   */
  readonly maxPendingSends?: number;
  /**
   * Recipients of one send.
   * @default 10_000
   */
  readonly maxRecipients?: number;
  /**
   * Messages followed for a receipt. Of those that users sent, the recipient followed for longest is given up beyond it; apart from
   * them as many may be waited for with `receipt.delivered()` and `receipt.read()`, and one more fails with `OVERLOADED`.
   * @default 10_000
   */
  readonly maxPendingReceipts?: number;
  /**
   * Questions that wait for answers; more fail with `OVERLOADED`.
   * @default 10_000
   */
  readonly maxPendingQuestions?: number;
  /**
   * The latest pushes to connections that are remembered for `trace`.
   * @default 65_536
   */
  readonly maxTracedPushes?: number;
  /** @default the machine's clock */
  readonly clock?: Clock;
  /** @default console */
  readonly logger?: Logger;
}

type Limits = Required<
  Omit<
    UsercastOptions,
    | "authenticate"
    | "trustClients"
    | "registerEvent"
    | "releaseRequest"
    | "broker"
    | "singleNode"
    | "authorize"
    | "takeover"
    | "clock"
    | "logger"
  >
>;

/** The options of one attachment, complete and free of contradictions. */
export interface ResolvedOptions extends Limits {
  readonly authenticate: Authenticate | undefined;
  readonly trustClients: boolean;
  readonly registerEvent: string | false;
  readonly releaseRequest: boolean;
  readonly broker: Broker | undefined;
  readonly singleNode: boolean;
  readonly authorize: Authorize | undefined;
  readonly takeover: Takeover;
  readonly clock: Clock;
  readonly logger: Logger;
}

const DEFAULTS: Limits = {
  registerTimeoutMs: false,
  authenticateTimeoutMs: 10_000,
  maxRegistersPerSecond: 10,
  sendRate: { points: 20, durationMs: 1_000 },
  presenceGraceMs: 10_000,
  maxLastSeen: 100_000,
  maxConnectionsPerUser: 64,
  leaseMs: 15_000,
  maxPayloadBytes: 65_536,
  windowMessages: 256,
  windowBytes: 1_048_576,
  congestionBytes: 262_144,
  pageMessages: 128,
  pagesPerTurn: 4,
  pingIntervalMs: 1_000,
  cursorIntervalMs: 200,
  maxWaitingCursors: 100_000,
  owedMs: 600_000,
  inheritedMs: 60_000,
  maxPendingSends: 10_000,
  maxRecipients: 10_000,
  maxPendingReceipts: 10_000,
  maxPendingQuestions: 10_000,
  maxTracedPushes: 65_536,
};

const refuse = (detail: string): never => {
  throw new UsercastError("INVALID_OPTIONS", detail);
};

function checkNumber(name: string, value: unknown, least: number): void {
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < least) {
    refuse(`${name} must be a whole number of at least ${least}, not ${String(value)}.`);
  }
}

function checkIdentity(options: UsercastOptions): void {
  const { authenticate, trustClients } = options;
  if (authenticate === undefined && trustClients !== true) {
    refuse("Say who is who: give authenticate, or trustClients: true for development.");
  }
  if (authenticate !== undefined && trustClients === true) refuse("Give either authenticate or trustClients, not both.");
  if (authenticate !== undefined && typeof authenticate !== "function") refuse("authenticate must be a function.");
  if (trustClients === true && process.env["NODE_ENV"] === "production") {
    refuse("trustClients believes any client, so it is refused under NODE_ENV=production.");
  }
}

function registerEventOf(options: UsercastOptions): string | false {
  const name = options.registerEvent ?? (options.trustClients === true ? REGISTER_EVENT : false);
  if (name === false) return false;
  try {
    parseEvent(name);
  } catch (error) {
    refuse(`registerEvent must be false or the name of an event: ${UsercastError.from(error).message}`);
  }
  if (options.trustClients !== true && options.authenticate?.verifyToken === undefined) {
    refuse("registerEvent takes tokens, so authenticate needs a verifyToken, as jwt() has.");
  }
  return name;
}

/**
 * The given options with the defaults in place of what is missing.
 * @throws UsercastError `INVALID_OPTIONS` for contradictions, unknown names and values out of range
 */
export function resolveOptions(options: UsercastOptions): ResolvedOptions {
  if (typeof options !== "object" || options === null) refuse("usercast(io, options) needs its options.");
  checkIdentity(options);
  const resolved: ResolvedOptions = {
    ...DEFAULTS,
    ...Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)),
    authenticate: options.authenticate,
    trustClients: options.trustClients === true,
    registerEvent: registerEventOf(options),
    releaseRequest: options.releaseRequest === true,
    broker: options.broker,
    singleNode: options.singleNode === true,
    authorize: options.authorize,
    takeover: options.takeover ?? "oldest",
    clock: options.clock ?? systemClock,
    logger: options.logger ?? console,
  };
  const unknown = Object.keys(options).filter((name) => !Object.hasOwn(DEFAULTS, name) && !OTHER_NAMES.has(name));
  if (unknown.length > 0) refuse(`Unknown option: ${unknown.join(", ")}.`);
  if (resolved.takeover !== "oldest" && resolved.takeover !== "reject") refuse('takeover must be "oldest" or "reject".');
  for (const name of Object.keys(DEFAULTS) as (keyof Limits)[]) {
    if (name === "sendRate") {
      checkNumber("sendRate.points", resolved.sendRate.points, 1);
      checkNumber("sendRate.durationMs", resolved.sendRate.durationMs, 1);
    } else if (!(name === "registerTimeoutMs" && resolved.registerTimeoutMs === false)) {
      checkNumber(name, resolved[name], name === "presenceGraceMs" || name === "cursorIntervalMs" ? 0 : 1);
    }
  }
  return resolved;
}

const OTHER_NAMES: ReadonlySet<string> = new Set([
  "authenticate",
  "trustClients",
  "registerEvent",
  "releaseRequest",
  "broker",
  "singleNode",
  "authorize",
  "takeover",
  "clock",
  "logger",
]);

/** Adapters of one process, by the names of their classes. */
const LOCAL_ADAPTERS: ReadonlySet<string> = new Set(["Adapter", "SessionAwareAdapter"]);

/**
 * A store of one process would be wrong on several nodes, silently: half of the users' messages would be in the other half.
 * @throws UsercastError `INVALID_OPTIONS`
 */
export function checkNodes(broker: Pick<Broker, "name" | "scope">, adapterName: string, singleNode: boolean): void {
  if (broker.scope !== "process" || singleNode) return;
  const sign = cluster.isWorker ? "a cluster worker" : LOCAL_ADAPTERS.has(adapterName) ? undefined : `the adapter ${adapterName}`;
  if (sign === undefined) return;
  refuse(
    `The ${broker.name} broker serves one process, but ${sign} means several. Say singleNode: true if this is the only one.`,
  );
}
