export {
  type Availability,
  type Closing,
  type ErrorCode,
  type Missed,
  type MissedReason,
  type Position,
  type ReceiptNotice,
  type SendState,
  UsercastError,
} from "@usercast/protocol";
export type { AnswerHandler, QuestionInfo } from "./answers.ts";
export type { Client } from "./client.ts";
export { connect } from "./connect.ts";
export type { AnswerOf, DefaultEvents, EventMap, Handler, Info, MessageInfo, SignalInfo } from "./events.ts";
export type { Lifecycle, LifecycleEvents, ReadMark, Status, UnhandledMessage } from "./lifecycle.ts";
export type { ConnectOptions, Token } from "./options.ts";
export type { Sent } from "./sent.ts";
export type { KeyValueStorage } from "./storage.ts";
export type { Target, VolatileTarget } from "./target.ts";
