import type { ErrorCode, WireError } from "./errors.ts";

/** The version of the wire this package describes. */
export const PROTOCOL_VERSION = 1;

/** The Socket.IO events that are ours. */
export const EVENTS = {
  ready: "usercast:ready",
  message: "usercast:message",
  signal: "usercast:signal",
  missed: "usercast:missed",
  ack: "usercast:ack",
  read: "usercast:read",
  question: "usercast:question",
  cancelled: "usercast:cancelled",
  send: "usercast:send",
  state: "usercast:state",
  receipt: "usercast:receipt",
  availability: "usercast:availability",
  closing: "usercast:closing",
} as const;

/** The event a client without a token in its handshake registers with, unless the server names another. */
export const REGISTER_EVENT = "register";

/** A place in a mailbox. `at` is the time its message was accepted, in milliseconds since 1970 by the broker's clock. */
export interface Position {
  readonly epoch: string;
  readonly offset: number;
  readonly at: number;
}

/** What the SDK says of itself when it connects. */
export interface Hello {
  readonly v: typeof PROTOCOL_VERSION;
  /** The installation. */
  readonly device: string;
  /** The page or process. */
  readonly session: string;
  /** The last place this session had settled, if it has been here before. */
  readonly position?: Position;
  /** Said by a client that could not keep its device id and will have another one next time: the first to be forgotten. */
  readonly transient?: boolean;
  /** `false` where this user neither tells senders what was read here, nor is told what others have read. Default `true`. */
  readonly readReceipts?: boolean;
}

/** Socket.IO's `auth` of the handshake. */
export interface HandshakeAuth {
  readonly token?: string;
  readonly usercast?: Hello;
}

/** `usercast:ready`, once per connection, before its first message. */
export interface Ready {
  readonly userId: string;
  /** The first argument of every later event of ours on this connection, so that no relayed event can pose as ours. */
  readonly secret: string;
  readonly device: string;
  /** The session of the hello, which only this client and the server know: a relayed `ready` cannot pose as ours either. */
  readonly session: string;
  /** Where this connection starts: the first message it is sent comes after this place. */
  readonly position: Position;
  /** The newest message of the mailbox. */
  readonly head: Position;
  /** The furthest offset the user has read. */
  readonly read: number;
  readonly limits: ReadyLimits;
}

/** What the server tells a client to keep to. */
export interface ReadyLimits {
  /** Messages pushed and not yet confirmed, at most; the client confirms at the latest at half of it. */
  readonly windowMessages: number;
  /** Bytes of one message, at most. */
  readonly maxPayloadBytes: number;
  /** Milliseconds that the server remembers an idempotency key: a send must not be tried again after that. */
  readonly idempotencyMs: number;
}

/** What accompanies a message. */
export interface MessageMeta {
  readonly offset: number;
  readonly at: number;
  /** The previous offset given to this connection, whenever it is not `offset - 1`. */
  readonly after?: number;
  /** The user who sent it; absent when the back end did. */
  readonly from?: string;
  /** The sender's idempotency key. */
  readonly key?: string;
}

/** What accompanies a signal. */
export interface SignalMeta {
  readonly from?: string;
}

/**
 * Why messages are missing: `expired` (their time to live ran out), `trimmed` (the mailbox reached its limit),
 * `epoch` (the mailbox began a new life) or `rewound` (the store lost its newest part).
 */
export type MissedReason = "expired" | "trimmed" | "epoch" | "rewound";

/**
 * `usercast:missed`: the messages after `after` and before `before` will not come.
 * For `epoch` and `rewound`, `after` is the client's own old offset and `before` the first offset of today's log.
 */
export interface Missed {
  readonly after: number;
  readonly before: number;
  readonly reason: MissedReason;
}

/** `usercast:send`: a message from one user to another. */
export interface SendRequest {
  readonly to: string;
  readonly event: string;
  readonly data: unknown;
  /** Required unless volatile. */
  readonly key?: string;
  /** Milliseconds, or text such as `"1h"`. */
  readonly ttl?: number | string;
  readonly volatile?: boolean;
}

/** `usercast:question`: what goes before event and data of a question to a client, whose acknowledgement is a `QuestionAnswer`. */
export interface Question {
  /** Names the question in `usercast:cancelled`. */
  readonly id: string;
  /** Milliseconds from now within which an answer counts; no time of day, because clocks disagree. */
  readonly timeoutMs: number;
}

/** `usercast:cancelled`: the answer to this question is no longer wanted. */
export interface Cancelled {
  readonly id: string;
}

/**
 * What became of a send, in this order. `accepted` tells nothing of the recipient; the others are told only where the server's
 * `authorize` granted receipts, and `read` only where both sides have read receipts on.
 */
export type SendState = "accepted" | "delivered" | "read";

/** A message of this user's, by its recipient and key: what `usercast:state` asks for, up to `LIMITS.stateRequests` of them. */
export interface StateRequest {
  readonly to: string;
  readonly key: string;
}

/** An answer to a request of a client's. */
export type Answer<T> = ({ readonly ok: true } & T) | { readonly ok: false; readonly error: WireError };

/** The answer to `register`. */
export type RegisterAnswer = Answer<{ readonly userId: string }>;

/** The answer to `usercast:send`. `receipts` is there where later states will be told. */
export type SendAnswer = Answer<{ readonly state: SendState; readonly receipts?: true }>;

/** The answer to `usercast:state`, in the order of the request; `null` where nothing is known, or nothing may be. */
export type StateAnswer = Answer<{ readonly states: readonly (SendState | null)[] }>;

/** The answer to `usercast:question`. */
export type QuestionAnswer = Answer<{ readonly data: unknown }>;

/** `usercast:receipt`, to the connections of the user who sent the message. */
export interface ReceiptNotice {
  readonly to: string;
  readonly key: string;
  readonly state: SendState;
}

/** `usercast:availability`, when a server cannot reach its store any more, and when it can again. */
export interface Availability {
  readonly available: boolean;
}

/** `usercast:closing`, before the server ends a connection. */
export interface Closing {
  readonly code: ErrorCode;
  readonly message: string;
  /** Whether the client is welcome to come back by itself. */
  readonly reconnect: boolean;
}
