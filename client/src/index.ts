export {
  type Closing,
  type ErrorCode,
  type Missed,
  type MissedReason,
  type Position,
  type ReceiptNotice,
  type SendState,
  UsercastError,
} from "@usercast/protocol";
export type { Client } from "./client.ts";
export { connect } from "./connect.ts";
export type { DefaultEvents, EventMap, Handler, Info, MessageInfo, SignalInfo } from "./events.ts";
export type { Lifecycle, LifecycleEvents, Status, UnhandledMessage } from "./lifecycle.ts";
export type { ConnectOptions, Token } from "./options.ts";
export type { SendReceipt } from "./outbox.ts";
export type { KeyValueStorage } from "./storage.ts";
export type { Target, VolatileTarget } from "./target.ts";
