/** Bounds of the wire itself. What a server may change is an option of the server's, with its default there. */
export const LIMITS = {
  /** Longest user id, in bytes of UTF-8. */
  userIdBytes: 512,
  /** Longest event name, in bytes of UTF-8. */
  eventBytes: 256,
  /** Longest idempotency key, in bytes. */
  keyBytes: 255,
  /** Longest device or session id, in characters. */
  deviceIdLength: 64,
  /** Longest epoch, in characters. */
  epochLength: 64,
  /** Messages in one `usercast:state`. */
  stateRequests: 100,
  /** Longest wait for an answer or a receipt, in milliseconds: a day. */
  timeoutMs: 86_400_000,
  /** Longest token, in characters. */
  tokenLength: 16_384,
} as const;

/** The device that all connections without the SDK share. */
export const PLAIN_DEVICE = "plain";
