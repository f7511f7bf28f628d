import type { Missed } from "@usercast/protocol";
import type { Connection } from "./connection.ts";
import type { HeartbeatOptions } from "./heartbeat.ts";
import type { Broker, CursorMove } from "./ports.ts";
import type { PushLog, Recipient } from "./pushes.ts";
import type { Starter } from "./start.ts";
import type { Turns } from "./turns.ts";

/** Whose connection it is and how it speaks. The device of a client without the SDK is `"plain"`. */
export interface ConnectionInfo extends Starter, Recipient {
  /** The page or process of the device; absent for a client without the SDK. */
  readonly session?: string;
  readonly connectedAt: number;
  readonly secret: string;
  /** Whether the device has an id that could not be kept. */
  readonly transient?: boolean;
  /** Whether senders may learn what is read here, and this client what others have read. */
  readonly readReceipts: boolean;
}

/** What all connections of a server share. */
export interface ConnectionContext extends HeartbeatOptions {
  readonly broker: Broker;
  readonly pushes: PushLog;
  /** Pages that all connections together read in one turn of the loop. */
  readonly turns: Turns;
  readonly maxPayloadBytes: number;
  readonly pageMessages: number;
}

/** What a connection tells its owner. */
export interface ConnectionListener {
  /**
   * Everything up to `connection.confirmed` has reached the client, or is about to be pushed after it for the first time; or
   * it has read something.
   */
  onMoved(connection: Connection, move: CursorMove): void;
  onMissed(connection: Connection, missed: Missed): void;
  onError(error: unknown): void;
  /** Called once. `isLost` says that the log it was given from is gone, for all connections of its user. */
  onClosed(connection: Connection, isLost: boolean): void;
}
