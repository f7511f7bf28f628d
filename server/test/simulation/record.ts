/**
 * What happened in one run, as anybody outside could have seen it. The checker judges by this alone, so it is made of
 * plain values and knows neither server nor client.
 *
 * A *step* orders everything that is noted; a *time* is of the run's clock. `n` is what a message says: each has a number of its own.
 */

/** Which devices a message is for. */
export type Filter = { readonly only: string } | { readonly except: string };

/** A message that the store has taken, with its place. */
export interface Accepted {
  readonly n: number;
  readonly user: string;
  readonly epoch: string;
  readonly offset: number;
  readonly at: number;
  readonly expiresAt: number;
  readonly bytes: number;
  readonly from: string | undefined;
  readonly key: string | undefined;
  readonly devices: Filter | undefined;
  readonly step: number;
  /** When it was purged, or the store restored from a copy that is older. */
  endedAt: number;
}

/** What a sender was answered. */
export interface Answered {
  readonly n: number;
  readonly user: string;
  readonly state: "accepted" | "duplicate";
  readonly epoch: string;
  readonly offset: number;
  readonly step: number;
}

/** A signal as it was sent. */
export interface SentSignal {
  readonly n: number;
  readonly user: string;
  readonly devices: Filter | undefined;
}

/** What one page saw, in order. `writtenAt` is when the server wrote what the page learned it from. */
export type PageEvent =
  | { readonly type: "ready"; readonly epoch: string; readonly offset: number; readonly step: number }
  | {
      readonly type: "started";
      readonly n: number;
      readonly epoch: string;
      readonly offset: number;
      readonly at: number;
      readonly writtenAt: number;
      readonly step: number;
    }
  | { readonly type: "settled"; readonly epoch: string; readonly offset: number; readonly at: number; readonly step: number }
  | {
      readonly type: "missed";
      readonly after: number;
      readonly before: number;
      readonly reason: string;
      readonly writtenAt: number;
      readonly step: number;
    }
  | { readonly type: "signal"; readonly n: number; readonly step: number };

/** One life of a page with the SDK, from its load until it is closed or loaded again. */
export interface PageLife {
  readonly user: string;
  readonly device: string;
  /** The place it found in its storage. */
  readonly remembered: { readonly epoch: string; readonly offset: number } | undefined;
  readonly bornAt: number;
  readonly events: PageEvent[];
  /** Whether it was there when everything had come to rest; or open, and could not be. */
  isThere: boolean;
  isKeptOut: boolean;
}

/** One connection of a page, as the server had it. */
export interface SdkConnection {
  readonly user: string;
  readonly device: string;
  readonly page: PageLife;
  /** The epoch and offset that it claimed to have settled. */
  readonly claim: { readonly epoch: string; readonly offset: number } | undefined;
  /** Where it was told to begin, once it was. */
  start: { readonly epoch: string; readonly offset: number; readonly step: number; readonly time: number } | undefined;
  readonly madeAt: number;
  readonly acks: { readonly offset: number; readonly step: number }[];
}

/** One plain socket's time as one user's; messages by their numbers. */
export interface PlainStay {
  readonly user: string;
  readonly client: string;
  epoch: string;
  readonly pushed: { readonly n: number; readonly writtenAt: number; readonly step: number }[];
  readonly received: { readonly n: number; readonly step: number }[];
  readonly signals: number[];
  /** When its start was known, at the latest, and when it was over. */
  startedAt: number;
  endedAt: number;
  readonly madeAt: number;
  /** When its start was known. */
  time: number;
}

/** A device's cursor as the store was told to move it. */
export interface CursorWrite {
  readonly user: string;
  readonly device: string;
  readonly epoch: string;
  readonly asked: number;
  /** What the device said it was told as missed. */
  readonly missed: readonly { readonly first: number; readonly last: number }[];
  /** Where it stood afterwards, and the mailbox's head; nothing where the epoch was over. */
  readonly stood: { readonly delivered: number; readonly head: number } | undefined;
  readonly step: number;
  endedAt: number;
}

/** The most that was under way to one connection at once. */
export interface HighWater {
  readonly who: string;
  /** Messages written and not confirmed. */
  messages: number;
  /** Their bytes, where there was more than one. */
  bytes: number;
  /** Bytes that waited for the network before another message was written. */
  buffered: number;
}

/** A message that one user sends another through the SDK. */
export interface UserSend {
  readonly n: number;
  readonly page: PageLife;
  state: "waiting" | "accepted" | "failed";
}

/** A message whose sender wants to know when it is delivered. */
export interface Followed {
  readonly n: number;
  readonly user: string;
  readonly epoch: string;
  readonly offset: number;
  /** When it was told as delivered. */
  toldAt: number | undefined;
  /** Whether it was given up, and that said, or its node is gone. */
  isOver: boolean;
}

/** The bounds a run was held to. */
export interface Bounds {
  readonly windowMessages: number;
  readonly windowBytes: number;
  readonly congestionBytes: number;
  readonly maxMailboxMessages: number;
  readonly maxMailboxBytes: number;
}

/** Everything that happened in one run. */
export interface RunRecord {
  readonly bounds: Bounds;
  readonly accepted: Accepted[];
  readonly answered: Answered[];
  readonly signals: SentSignal[];
  readonly pages: PageLife[];
  readonly connections: SdkConnection[];
  readonly stays: PlainStay[];
  readonly cursors: CursorWrite[];
  readonly highWater: HighWater[];
  readonly sends: UserSend[];
  readonly followed: Followed[];
  /** Whether hints were lost or late, so that a connection may end before it was given what was accepted before; and the steps at which the store failed, or nodes were killed. */
  hintsWereLost: boolean;
  readonly isOneNode: boolean;
  readonly failures: number[];
  readonly crashes: number[];
  /** What must never be seen, noted where it was. */
  readonly wrongs: string[];
  /** When everything had come to rest: step and time; not set where it never did. */
  rested: { readonly step: number; readonly time: number } | undefined;
  /** Cursors in the store at rest, by user and device. */
  readonly restingCursors: Map<string, number>;
  /** What was left after everything was closed. */
  residue: Readonly<Record<string, number>>;
}
