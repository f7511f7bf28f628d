export { type ErrorCode, type Missed, type Position, UsercastError } from "@usercast/protocol";
export type { AskMode } from "./ask.ts";
export { type JwtOptions, jwt, type TokenAuthenticate } from "./auth/jwt.ts";
export type { Authenticate, Authenticated, Identity, VerifyToken } from "./auth/verify.ts";
export { type MemoryOptions, memory } from "./broker/memory.ts";
export type { BrokerOptions } from "./broker/options.ts";
export type { RetentionOptions, WhenFull } from "./broker/retention.ts";
export type { DefaultEvents, EventData, EventMap, EventName } from "./events.ts";
export type { DisconnectSettings, OnlinePage, UserConnection, UserPresence } from "./nodes.ts";
export type { Authorization, Authorize, Logger, UsercastOptions } from "./options.ts";
export type {
  Attached,
  Broker,
  CancelTimer,
  Clock,
  Control,
  ControlTarget,
  CursorMove,
  Cursors,
  CursorsMoved,
  DeviceCursors,
  DeviceFilter,
  Draft,
  Encoded,
  Entry,
  KeyUse,
  MailboxListener,
  MailboxState,
  Page,
  PlacedConnection,
  Presence,
  PresencePage,
  PresenceSettings,
  PresentConnection,
  PresentUser,
  PublishResult,
  ReceiptGrant,
  SendKey,
  Signal,
  Takeover,
  Unsubscribe,
  UserCursors,
} from "./ports.ts";
export type { Answers, Asked, DeviceAnswer, Silence } from "./question.ts";
export type { OffsetRange } from "./ranges.ts";
export type { Confirmation, Receipt, ReceiptWait } from "./receipt.ts";
export type { Outcome } from "./send.ts";
export type { HeldPlace, SharedMove, SharedPlaces, SharedTurn } from "./sharing.ts";
export type { ExceptDevice, Target, VolatileTarget } from "./target.ts";
export type { DeviceTrace, MessageTrace, TraceState } from "./trace.ts";
export {
  type LifecycleEvents,
  type MailboxHandle,
  type MailboxPage,
  type StoredMessage,
  type Usercast,
  type UsercastStats,
  type UserEventContext,
  usercast,
} from "./usercast.ts";
