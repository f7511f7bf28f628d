import { UsercastError } from "@usercast/protocol";

/** What a full mailbox does with one message more. */
export type WhenFull = "drop-oldest" | "reject";

/** How much a broker keeps. Every limit has a default; zero and negative values are refused. */
export interface RetentionOptions {
  /**
   * How long a message is kept, in milliseconds; the upper bound of every time to live.
   * @default 604_800_000 (7 days)
   */
  readonly retentionMs?: number;
  /**
   * Messages per mailbox; the oldest are dropped and reported as missed.
   * @default 10_000
   */
  readonly maxMailboxMessages?: number;
  /**
   * Bytes of messages per mailbox; the oldest are dropped and reported as missed.
   * @default 16_777_216 (16 MiB)
   */
  readonly maxMailboxBytes?: number;
  /**
   * Mailboxes in the store; a message that would begin one more fails with `STORE_FULL`.
   * @default 1_000_000
   */
  readonly maxMailboxes?: number;
  /**
   * Bytes of messages in the store; a message that would pass it fails with `STORE_FULL`.
   * @default 1_073_741_824 (1 GiB) in memory, 17_179_869_184 (16 GiB) on disk
   */
  readonly maxTotalBytes?: number;
  /**
   * What happens to a message for a mailbox that is full: `"drop-oldest"` makes room for it, `"reject"` fails it with
   * `MAILBOX_FULL`.
   * @default "drop-oldest"
   */
  readonly whenFull?: WhenFull;
  /**
   * Devices per user whose cursors are kept; one too many, and one with an id that could not be kept is forgotten, else the one
   * last seen longest ago.
   * @default 32
   */
  readonly maxDevices?: number;
  /**
   * Milliseconds after which a device that was not seen is forgotten.
   * @default 7_776_000_000 (90 days)
   */
  readonly deviceIdleMs?: number;
  /**
   * How long an idempotency key takes effect, in milliseconds.
   * @default 86_400_000 (24 hours)
   */
  readonly idempotencyMs?: number;
  /**
   * Idempotency keys in the store; at the bound new keyed sends fail with `IDEMPOTENCY_FULL`.
   * @default 1_000_000
   */
  readonly maxIdempotencyKeys?: number;
  /**
   * How often a few idle mailboxes are looked at for expired messages, in milliseconds.
   * @default 10_000
   */
  readonly sweepIntervalMs?: number;
}

/** The limits of a broker, complete. */
export type Retention = Required<RetentionOptions>;

const DEFAULTS: Omit<Retention, "maxTotalBytes"> = {
  retentionMs: 7 * 24 * 3_600_000,
  maxMailboxMessages: 10_000,
  maxMailboxBytes: 16 * 1_048_576,
  maxMailboxes: 1_000_000,
  whenFull: "drop-oldest",
  maxDevices: 32,
  deviceIdleMs: 90 * 24 * 3_600_000,
  idempotencyMs: 24 * 3_600_000,
  maxIdempotencyKeys: 1_000_000,
  sweepIntervalMs: 10_000,
};

/**
 * The given limits with the defaults in place of what is missing.
 * @throws UsercastError `INVALID_OPTIONS` for a limit that is not a positive whole number, or another `whenFull`
 */
export function resolveRetention(options: RetentionOptions, maxTotalBytes: number): Retention {
  const retention: Retention = { ...DEFAULTS, maxTotalBytes };
  for (const name of Object.keys(retention) as (keyof Retention)[]) {
    const value = options[name];
    if (value === undefined) continue;
    if (name === "whenFull") {
      if (value !== "drop-oldest" && value !== "reject") {
        throw new UsercastError("INVALID_OPTIONS", `whenFull must be "drop-oldest" or "reject", not ${String(value)}.`);
      }
    } else if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 1) {
      throw new UsercastError("INVALID_OPTIONS", `${name} must be a positive whole number, not ${String(value)}.`);
    }
    Object.assign(retention, { [name]: value });
  }
  return retention;
}
