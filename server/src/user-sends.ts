import {
  isRecord,
  LIMITS,
  parseEvent,
  parseIdempotencyKey,
  parseUserId,
  type SendAnswer,
  type SendRequest,
  type SendState,
  type StateAnswer,
  UsercastError,
} from "@usercast/protocol";
import type { Nodes } from "./nodes.ts";
import type { Authorization, ResolvedOptions } from "./options.ts";
import type { Broker, ReceiptGrant } from "./ports.ts";
import { progressOf, stateOf } from "./progress.ts";
import { Rate } from "./rate.ts";
import type { Receipt } from "./receipt.ts";
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

/** What a grant of the application's comes to. Whatever is neither yes nor a grant is a no: a function that forgot to answer allows nothing. */
function receiptsOf(granted: Authorization): ReceiptGrant | undefined {
  if (granted === true) return undefined;
  if (!isRecord(granted)) throw new UsercastError("FORBIDDEN");
  if (granted["receipts"] === "delivered") return "delivered";
  return granted["receipts"] === true ? "read" : undefined;
}

const isPromise = (granted: Authorization | Promise<Authorization>): granted is Promise<Authorization> =>
  typeof (granted as Partial<Promise<Authorization>> | undefined | null)?.then === "function";

/** The user's connection that asks, as far as it matters here. */
export interface UserSender {
  readonly userId: string;
  /** Whether it is told what others have read. */
  readonly readReceipts: boolean;
}

/** What `UserSends` stand on. */
export interface UserSendsParts {
  readonly options: ResolvedOptions;
  readonly broker: Broker;
  readonly nodes: Nodes;
  readonly sender: Sender;
  readonly receipts: Receipts;
}

/** A send that `authorize` was asked about, and who waits for what becomes of it. */
interface Allowed {
  readonly granted: Authorization;
  readonly answer: (answer: SendAnswer) => void;
  readonly refuse: (error: unknown) => void;
}

const ACCEPTED = { ok: true, state: "accepted" } as const;

/** A message a user sent, by which its states are found again. */
interface Sent {
  readonly from: string;
  readonly to: string;
  readonly key: string;
}

/** What users send to users: allowed, limited, and answered without a word about the recipient unless that was granted. */
export class UserSends {
  readonly #parts: UserSendsParts;
  readonly #rate: Rate;

  constructor(parts: UserSendsParts) {
    this.#parts = parts;
    this.#rate = new Rate(parts.options.sendRate, parts.options.clock);
  }

  /** Takes one request of `from` and says, once, what became of it. Where `authorize` answers at once, nothing waits before the broker does. */
  take(from: string, value: unknown, answer: (answer: SendAnswer) => void): void {
    const refuse = (error: unknown): void => answer({ ok: false, error: UsercastError.from(error).toJSON() });
    try {
      const { authorize } = this.#parts.options;
      if (authorize === undefined) throw new UsercastError("FORBIDDEN", "This server does not let users send to users.");
      this.#limit(from);
      const request = parseRequest(value);
      const granted = authorize(from, request.to, request.event, request.data ?? null);
      if (!isPromise(granted)) this.#send(from, request, { granted, answer, refuse });
      else void granted.then((grant) => this.#send(from, request, { granted: grant, answer, refuse })).catch(refuse);
    } catch (error) {
      refuse(error);
    }
  }

  /** Says how far messages have come that this user sent, and follows them from now on; never rejects. */
  async states(asker: UserSender, value: unknown): Promise<StateAnswer> {
    try {
      if (!Array.isArray(value) || value.length > LIMITS.stateRequests) {
        throw new UsercastError("INVALID_REQUEST", `States are asked for by a list of up to ${LIMITS.stateRequests} messages.`);
      }
      this.#limit(asker.userId);
      const requests = value.map((request: unknown) => {
        if (!isRecord(request)) throw new UsercastError("INVALID_REQUEST", "A message is named by its recipient and its key.");
        return { to: parseUserId(request["to"]), key: parseIdempotencyKey(request["key"]) };
      });
      return { ok: true, states: await Promise.all(requests.map(({ to, key }) => this.#stateOf(asker, to, key))) };
    } catch (error) {
      return { ok: false, error: UsercastError.from(error).toJSON() };
    }
  }

  #send(from: string, request: SendRequest, { granted, answer, refuse }: Allowed): void {
    const { sender } = this.#parts;
    const { to, event, data = null, key, ttl } = request;
    const receipts = receiptsOf(granted);
    const settings: SendSettings = {
      from,
      ...(key !== undefined && { idempotencyKey: key }),
      ...(ttl !== undefined && { ttl }),
      ...(receipts && { receipts }),
    };
    if (request.volatile === true || key === undefined) {
      sender.signal([to], event, data, settings);
      answer(ACCEPTED);
      return;
    }
    const resolve = ({ epoch, offset }: Receipt): void => {
      if (receipts !== undefined) this.#follow({ from, to, key }, { epoch, offset }, receipts);
      answer(receipts === undefined ? ACCEPTED : { ...ACCEPTED, receipts: true });
    };
    const reject = (error: unknown): void => {
      // How full another's mailbox is, is theirs to tell.
      const isTheirs = UsercastError.from(error).code === "MAILBOX_FULL" && receipts === undefined;
      refuse(isTheirs ? new UsercastError("STORE_FULL") : error);
    };
    sender.one(to, event, data, { settings, settle: { resolve, reject } });
  }

  async #stateOf({ userId: from, readReceipts }: UserSender, to: string, key: string): Promise<SendState | null> {
    const { broker } = this.#parts;
    const use = await broker.recall(to, from, key);
    if (use?.receipts === undefined) return null;
    const { position, receipts } = use;
    const state = stateOf(progressOf(await broker.position(to), position), receipts);
    if (state !== "read" && state !== receipts) this.#follow({ from, to, key }, position, receipts);
    return state === "read" && !readReceipts ? "delivered" : state;
  }

  #follow({ from, to, key }: Sent, place: { readonly epoch: string; readonly offset: number }, until: ReceiptGrant): void {
    const { receipts, nodes } = this.#parts;
    const tell = (state: ReceiptGrant): void => nodes.tellReceipt(from, { to, key, state });
    void receipts.follow({ ...place, recipient: to, until, follower: `${from}\0${key}`, onPassage: tell });
  }

  #limit(from: string): void {
    if (!this.#rate.take(from)) throw new UsercastError("RATE_LIMITED");
  }
}
