export { type ErrorCode, type Missed, type Position, UsercastError } from "@usercast/protocol";
export { type JwtOptions, jwt, type TokenAuthenticate } from "./auth/jwt.ts";
export type { Authenticate, Authenticated, Identity, VerifyToken } from "./auth/verify.ts";
export { type MemoryOptions, memory } from "./broker/memory.ts";
export type { BrokerOptions } from "./broker/options.ts";
export type { RetentionOptions } from "./broker/retention.ts";
export type { DefaultEvents, EventData, EventMap, EventName } from "./events.ts";
export type { Authorization, Authorize, Logger, UsercastOptions } from "./options.ts";
export type {
  Broker,
  CancelTimer,
  Clock,
  Cursors,
  Draft,
  Encoded,
  Entry,
  MailboxListener,
  MailboxState,
  Page,
  PublishResult,
  SendKey,
  Signal,
  Unsubscribe,
} from "./ports.ts";
export type { Outcome, Receipt } from "./send.ts";
export type { Target, VolatileTarget } from "./target.ts";
export {
  type LifecycleEvents,
  type MailboxHandle,
  type MailboxPage,
  type StoredMessage,
  type UserConnection,
  type Usercast,
  type UserEventContext,
  type UserPresence,
  usercast,
} from "./usercast.ts";
