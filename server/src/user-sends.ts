import {
  isRecord,
  parseEvent,
  parseIdempotencyKey,
  parseUserId,
  type SendAnswer,
  type SendRequest,
  UsercastError,
} from "@usercast/protocol";
import { RateLimiterMemory, RateLimiterRes } from "rate-limiter-flexible";
import type { ResolvedOptions } from "./options.ts";
import type { Receipts } from "./receipts.ts";
import type { Sender, SendSettings } from "./send.ts";

const FIELDS: ReadonlySet<string> = new Set(["to", "event", "data", "key", "ttl", "volatile"]);

/**
 * A `usercast:send` as the wire wants it: what `authorize` is shown has the types it says. The rest is checked where it is used.
 * @throws UsercastError `INVALID_REQUEST`, `INVALID_USER_ID`, `INVALID_EVENT`, `RESERVED_EVENT` or `INVALID_IDEMPOTENCY_KEY`
 */
function parseRequest(value: unknown): SendRequest {
  // A view of binary data has a field for each of its bytes.
  if (!isRecord(value) || ArrayBuffer.isView(value))
    throw new UsercastError("INVALID_REQUEST", "A send is an object with to, event, data and key.");
  const unknown = Object.keys(value).find((name) => !FIELDS.has(name));
  if (unknown !== undefined) throw new UsercastError("INVALID_REQUEST", `Unknown field: ${unknown.slice(0, 100)}.`);
  const { volatile } = value;
  if (volatile !== undefined && typeof volatile !== "boolean")
    throw new UsercastError("INVALID_REQUEST", "volatile is true or false.");
  const to = parseUserId(value["to"]);
  parseEvent(value["event"]);
  if (volatile !== true) parseIdempotencyKey(value["key"]);
  return { ...(value as unknown as SendRequest), to };
}

/** What users send to users: allowed, limited, and answered without a word about the recipient unless that was granted. */
export class UserSends {
  readonly #options: ResolvedOptions;
  readonly #sender: Sender;
  readonly #receipts: Receipts;
  readonly #limiter: RateLimiterMemory;

  constructor(options: ResolvedOptions, sender: Sender, receipts: Receipts) {
    this.#options = options;
    this.#sender = sender;
    this.#receipts = receipts;
    const { points, durationMs } = options.sendRate;
    this.#limiter = new RateLimiterMemory({ points, duration: durationMs / 1_000 });
  }

  /** Takes one request of `from` and says what became of it; never rejects. */
  async take(from: string, value: unknown): Promise<SendAnswer> {
    try {
      return await this.#send(from, value);
    } catch (error) {
      return { ok: false, error: UsercastError.from(error).toJSON() };
    }
  }

  async #send(from: string, value: unknown): Promise<SendAnswer> {
    const { authorize } = this.#options;
    if (authorize === undefined) throw new UsercastError("FORBIDDEN", "This server does not let users send to users.");
    await this.#limit(from);
    const request = parseRequest(value);
    const { to, event, data = null, key, ttl } = request;
    const granted = await authorize(from, to, event, data);
    // Whatever is neither yes nor a grant is a no: a function that forgot to answer allows nothing.
    if (granted !== true && !isRecord(granted)) throw new UsercastError("FORBIDDEN");
    const settings: SendSettings = {
      from,
      ...(key === undefined ? {} : { idempotencyKey: key }),
      ...(ttl === undefined ? {} : { ttl }),
    };
    if (request.volatile === true) {
      this.#sender.signal([to], event, data, settings);
      return { ok: true, state: "accepted" };
    }
    const { state, epoch, offset } = await this.#sender.one(to, event, data, settings);
    if (key === undefined || granted === true || granted.receipts !== true) return { ok: true, state: "accepted" };
    void this.#receipts.follow({ sender: from, recipient: to, key, epoch, offset });
    // Of a repeated send nobody knows any more whether the first was pushed.
    return { ok: true, state: state === "duplicate" ? "accepted" : state };
  }

  async #limit(from: string): Promise<void> {
    try {
      await this.#limiter.consume(from);
    } catch (error) {
      if (error instanceof RateLimiterRes) throw new UsercastError("RATE_LIMITED");
      throw error;
    }
  }
}
