/** What a caller can know about an error before reading its sentence. */
export interface ErrorKind {
  /** The HTTP status the standalone server answers with. */
  readonly status: number;
  /** Whether the same call can succeed later, unchanged. */
  readonly retryable: boolean;
  /** One sentence for the person who reads the log. */
  readonly message: string;
}

const final = (status: number, message: string): ErrorKind => ({ status, retryable: false, message });
const retry = (status: number, message: string): ErrorKind => ({ status, retryable: true, message });

/**
 * Every error Usercast reports, by its stable code. The same code is on the wire, in the exception and in the HTTP answer;
 * `docs/errors.md` lists them, and a test holds the two against each other.
 */
export const ERRORS = {
  // What a caller wrote
  INVALID_USER_ID: final(400, "A user id is well-formed text of 1 to 512 bytes without control characters, or a safe integer."),
  INVALID_EVENT: final(400, "An event name is a string of 1 to 256 bytes of UTF-8."),
  RESERVED_EVENT: final(400, "This event name is reserved by Socket.IO or by Usercast."),
  INVALID_DATA: final(400, "The data cannot be written as JSON with binary attachments."),
  TOO_MANY_DATA: final(400, "A message carries exactly one piece of data; wrap several in an object or an array."),
  PAYLOAD_TOO_LARGE: final(413, "The message is larger than the server accepts."),
  INVALID_TTL: final(
    400,
    'A time to live is a positive number of milliseconds or text such as "90s", "1h" or "7d", at most 366 days.',
  ),
  INVALID_IDEMPOTENCY_KEY: final(400, "An idempotency key is a string of 1 to 255 bytes of printable ASCII."),
  IDEMPOTENCY_KEY_ON_VOLATILE: final(
    400,
    "A volatile message is never stored, so it cannot carry an idempotency key or a time to live.",
  ),
  IDEMPOTENCY_CONFLICT: final(409, "This idempotency key was used before with other content."),
  IDEMPOTENCY_FULL: retry(507, "The store holds as many idempotency keys as it may; none is forgotten early."),
  INVALID_TIMEOUT: final(400, 'A timeout is a positive number of milliseconds or text such as "5s", at most a day.'),
  INVALID_TARGET: final(400, "This way of sending does not go with these recipients, devices or sockets."),
  TOO_MANY_RECIPIENTS: final(400, "The send names more recipients than the server accepts in one call."),
  INVALID_DEVICE: final(400, 'A device or session id is 1 to 64 characters of A-Z, a-z, 0-9, _ and -, and not "plain".'),
  INVALID_POSITION: final(400, "A position is an epoch, an offset and a time, none negative, fractional or missing."),
  INVALID_ACK: final(400, "Only what this connection was sent can be confirmed."),
  INVALID_REQUEST: final(400, "The request does not have the form the server expects."),
  MALFORMED_JSON: final(400, "The body is not valid JSON."),
  UNSUPPORTED_MEDIA_TYPE: final(415, "The content type must be application/json."),
  NOT_FOUND: final(404, "There is nothing at this address."),
  METHOD_NOT_ALLOWED: final(405, "This address does not take this method."),
  INVALID_OPTIONS: final(500, "The options contradict each other or hold a value out of range."),
  // Who a caller is
  TOKEN_MISSING: final(401, "A token is required."),
  TOKEN_INVALID: final(401, "The token is not valid here."),
  TOKEN_EXPIRED: final(401, "The token has expired; come back with a fresh one."),
  UNAUTHORIZED: final(401, "A valid API key is required."),
  AUTHENTICATION_FAILED: final(401, "The server could not establish who this connection belongs to."),
  REGISTER_NOT_ALLOWED: final(403, "The identity of this connection came with its handshake and cannot be replaced."),
  REGISTER_TIMEOUT: final(408, "The connection did not register in time."),
  NOT_REGISTERED: final(401, "The connection is not registered to a user."),
  FORBIDDEN: final(403, "The server does not allow this user to do this."),
  HOST_NOT_ALLOWED: final(403, "The development server answers to localhost, 127.0.0.1 and [::1] only."),
  ORIGIN_NOT_ALLOWED: final(403, "Pages of this origin may not use the server."),
  // What the server can take
  RATE_LIMITED: retry(429, "Too many requests; try again a little later."),
  TOO_MANY_CONNECTIONS: final(429, "The user opened more connections than allowed, so the oldest was closed."),
  OVERLOADED: retry(503, "Too many sends are in flight."),
  MAILBOX_FULL: retry(507, "The user's mailbox is full, and its policy is to reject."),
  STORE_FULL: retry(507, "The store has reached its limit of mailboxes or bytes."),
  STORE_FAILED: retry(503, "The store could not write; nothing was accepted."),
  STORE_LOCKED: final(503, "Another process holds the data folder."),
  STORE_FORMAT: final(500, "The data folder was written in a format this version does not know."),
  UNAVAILABLE: retry(503, "The store cannot be reached now."),
  SERVER_CLOSED: retry(503, "The server is shutting down."),
  DISCONNECTED: final(403, "The server closed the user's connections."),
  EPOCH_CHANGED: retry(503, "The mailbox began a new life; connect again."),
  INTERNAL: retry(500, "Something failed inside the server."),
  // What became of a message or a question
  MESSAGE_GONE: final(410, "The message expired, was trimmed or purged before anybody confirmed it."),
  RECEIPT_TIMEOUT: retry(504, "Nobody confirmed the message in time; somebody still may."),
  USER_OFFLINE: retry(409, "The user has no connection that could be asked."),
  NO_ANSWER: retry(504, "Nobody answered the question."),
  NO_HANDLER: final(501, "The client does not answer questions of this name."),

  // What the SDK adds
  OUTBOX_FULL: retry(429, "Too many messages wait to be sent."),
  SEND_EXPIRED: final(504, "No server confirmed the message in time; it may have been accepted."),
  HANDLER_FAILED: final(500, "A message handler threw or rejected."),
  HANDLER_TIMEOUT: final(504, "A message handler did not settle in time."),
  CLIENT_CLOSED: final(499, "The client was closed."),
  TOKEN_UNAVAILABLE: retry(503, "The application's own function for the token failed; the client asks it again."),
  STREAM_BROKEN: retry(502, "The server's stream of messages did not fit together; the client begins it again."),
} as const satisfies Readonly<Record<string, ErrorKind>>;

/** A stable error code. */
export type ErrorCode = keyof typeof ERRORS;

/** An error as it travels on the wire and in HTTP answers. */
export interface WireError {
  readonly code: ErrorCode;
  readonly message: string;
}

/** The one class of error Usercast throws, rejects with and reports. */
export class UsercastError extends Error {
  readonly code: ErrorCode;

  /**
   * `detail` says what was wrong with this very call; without it the code's own sentence is used (in the SDK's bundle for
   * browsers, which leaves the sentences out, the code itself).
   */
  constructor(code: ErrorCode, detail?: string, options?: { readonly cause?: unknown }) {
    super((detail ?? ERRORS[code].message) || code, options);
    this.name = "UsercastError";
    this.code = code;
  }

  /** The HTTP status that goes with the code. */
  get status(): number {
    return ERRORS[this.code].status;
  }

  /** Whether the same call can succeed later, unchanged. */
  get retryable(): boolean {
    return ERRORS[this.code].retryable;
  }

  /** What goes over the wire: the code and its sentence, never a stack or a cause. */
  toJSON(): WireError {
    return { code: this.code, message: this.message };
  }

  /** Any thrown thing as a `UsercastError`; what is none of ours becomes `fallback`, with the original as its cause. */
  static from(error: unknown, fallback: ErrorCode = "INTERNAL"): UsercastError {
    return error instanceof UsercastError ? error : new UsercastError(fallback, undefined, { cause: error });
  }
}

/** Whether `code` is one of ours: what came over the wire may be from another version. */
export const isErrorCode = (code: unknown): code is ErrorCode => typeof code === "string" && Object.hasOwn(ERRORS, code);
