import { parseDeviceId, parseUserId, REGISTER_EVENT, UsercastError } from "@usercast/protocol";
import type { ManagerOptions, SocketOptions } from "socket.io-client";
import type { KeyValueStorage } from "./storage.ts";

/** A token, or a function that fetches one; the function is asked anew for each dial. */
export type Token = string | (() => string | Promise<string>);

/** How a client connects and works. */
export interface ConnectOptions {
  /** Proves who this is. Without one, the connection is whoever the server's `authenticate` says, or `userId`. */
  readonly token?: Token;
  /** For servers that trust their clients: the id to register with after each connect. Unused where there is a token. */
  readonly userId?: string | number;
  /** The event to register `userId` with. @default "register" */
  readonly registerEvent?: string;
  /** The id of this installation. @default the one in `storage.local`, else a new one */
  readonly deviceId?: string;
  /** Where ids and the position are kept. @default the page's localStorage and sessionStorage; memory where there is none */
  readonly storage?: {
    /** For the installation: shared by all pages. */
    readonly local?: KeyValueStorage;
    /** For the page: survives its reload. */
    readonly session?: KeyValueStorage;
  };
  /** Milliseconds after which a handler that hangs counts as settled. @default 30_000 */
  readonly handlerTimeoutMs?: number;
  /** Milliseconds that a message waits for a handler, and the messages behind it with it. @default 5_000 */
  readonly handlerWaitMs?: number;
  /** Milliseconds that confirmations, and marks of what was read, are gathered. @default 100 */
  readonly ackIntervalMs?: number;
  /** Milliseconds that a message to another user is tried, at most a day, and no longer than the server remembers its key. @default 600_000 */
  readonly sendTimeoutMs?: number;
  /** Milliseconds to wait for the answer to one try. @default 10_000 */
  readonly answerTimeoutMs?: number;
  /** Messages to other users that wait to be accepted, at most. @default 1_000 */
  readonly maxOutbox?: number;
  /** Messages to other users followed for their receipts, at most; beyond it the oldest is no longer followed. @default 1_000 */
  readonly maxFollowed?: number;
  /** Questions answered at the same time, at most; the server is told `OVERLOADED` of more. @default 100 */
  readonly maxQuestions?: number;
  /** `false` where this user neither tells senders what was read here, nor is told what others have read. @default true */
  readonly readReceipts?: boolean;
  /** Milliseconds after which a connection that was not accepted as a user's is reported as an `error`. @default 10_000 */
  readonly readyTimeoutMs?: number;
  /** For Socket.IO's `io(url, …)`. @default {} */
  readonly socketOptions?: Partial<ManagerOptions & SocketOptions>;
}

/** Each number's default, least and greatest. */
const NUMBERS = {
  handlerTimeoutMs: [30_000, 1, 86_400_000],
  handlerWaitMs: [5_000, 0, 86_400_000],
  ackIntervalMs: [100, 0, 10_000],
  sendTimeoutMs: [600_000, 1, 86_400_000],
  answerTimeoutMs: [10_000, 1, 86_400_000],
  maxOutbox: [1_000, 1, 1_000_000],
  maxFollowed: [1_000, 1, 1_000_000],
  maxQuestions: [100, 1, 1_000_000],
  readyTimeoutMs: [10_000, 1, 86_400_000],
} as const;

type NumberOption = keyof typeof NUMBERS;

/** Options that were checked and filled in. */
export interface ResolvedOptions extends Readonly<Record<NumberOption, number>> {
  readonly token: Token | undefined;
  readonly userId: string | undefined;
  readonly registerEvent: string;
  readonly deviceId: string | undefined;
  readonly readReceipts: boolean;
}

/**
 * Checks the options and fills in the defaults.
 * @throws UsercastError `INVALID_OPTIONS`, `INVALID_USER_ID` or `INVALID_DEVICE`
 */
export function resolveOptions(options: ConnectOptions): ResolvedOptions {
  const { token, userId, deviceId, registerEvent = REGISTER_EVENT, readReceipts = true } = options;
  const numbers = Object.entries(NUMBERS).map(([name, [standard, min, max]]) => {
    const value = options[name as NumberOption] ?? standard;
    if (Number.isSafeInteger(value) && value >= min && value <= max) return [name, value];
    throw new UsercastError("INVALID_OPTIONS", `${name} must be a whole number from ${min} to ${max}.`);
  });
  return {
    ...(Object.fromEntries(numbers) as Record<NumberOption, number>),
    token,
    registerEvent,
    readReceipts,
    userId: userId === undefined ? undefined : parseUserId(userId),
    deviceId: deviceId === undefined ? undefined : parseDeviceId(deviceId),
  };
}
