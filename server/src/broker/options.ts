import type { Clock } from "../ports.ts";
import type { RandomBytes } from "./epoch.ts";
import type { RetentionOptions } from "./retention.ts";

/** What every broker of ours can be told. */
export interface BrokerOptions extends RetentionOptions {
  /**
   * Where warnings go.
   * @default console.warn
   */
  readonly warn?: (message: string) => void;
  /** Time, so that tests can own it. @default the machine's */
  readonly clock?: Clock;
  /** Randomness, so that tests can own it. @default node:crypto's */
  readonly random?: RandomBytes;
}
