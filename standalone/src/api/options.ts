import type { UsercastError } from "@usercast/protocol";
import type { Usercast } from "@usercast/server";

/** What the HTTP API needs of the library. */
export type Users = Pick<Usercast, "to" | "presence" | "connections" | "disconnect" | "mailbox" | "trace" | "stats">;

/** What the HTTP API stands on. */
export interface ApiOptions {
  readonly users: Users;
  /** Bytes of event and data of one message. */
  readonly maxPayloadBytes: number;
  /** Bytes of the body of a batch. */
  readonly maxBatchBytes: number;
  /** Rejects when the server cannot take messages now. */
  readonly checkReady: () => Promise<void>;
  /** Told of what failed inside a call that was answered all the same. */
  readonly onFailure: (error: UsercastError) => void;
}
