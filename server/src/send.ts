import { createHash, hash as digest, randomBytes } from "node:crypto";
import { PLAIN_DEVICE, parseDeviceId, parseIdempotencyKey, parseTtl, parseUserId, UsercastError } from "@usercast/protocol";
import { encodeMessage } from "./encode.ts";
import type { Settle } from "./pending.ts";
import type { DeviceFilter, Draft, Encoded, Mutable, PublishResult, ReceiptGrant, SendKey, Signal } from "./ports.ts";
import { Receipt, type ReceiptContext } from "./receipt.ts";

/** What became of a message to one of several recipients. */
export type Outcome = Receipt | { readonly userId: string; readonly state: "failed"; readonly error: UsercastError };

/** How a message is sent. */
export interface SendSettings {
  /** Milliseconds, or text such as `"1h"`. */
  readonly ttl?: number | string;
  readonly idempotencyKey?: string;
  /** The user who sends; absent for the back end. */
  readonly from?: string;
  /** Devices it is for; checked here. */
  readonly devices?: DeviceFilter;
  /** Sockets that a signal is not for. */
  readonly exceptSockets?: readonly string[];
  /** What the user who sends may be told later; kept with the key. */
  readonly receipts?: ReceiptGrant;
}

/** How one message is sent, and who is told what became of it. */
export interface OneSend {
  readonly settings: SendSettings;
  readonly settle: Settle<Receipt>;
}

/** How a `Sender` works. */
export interface SenderOptions extends ReceiptContext {
  /** Whether a user is connected to this node. */
  readonly isHere: (userId: string) => boolean;
  /** Those of these users who are connected to any other node; rejects never. Nothing where there is no other node. */
  readonly elsewhere: (userIds: readonly string[]) => Promise<ReadonlySet<string>> | undefined;
  readonly maxPayloadBytes: number;
  readonly maxPendingSends: number;
  readonly maxRecipients: number;
}

/** The longest time to live a broker's own retention does not shorten anyway: a year. */
const MAX_TTL_MS = 366 * 86_400_000;
/** Drafts per call of the broker, so that one send to many does not hold up the others. */
const BATCH = 1_000;

/** A message without its recipient. */
interface Content {
  readonly encoded: Encoded;
  readonly ttlMs: number;
  readonly from: string | undefined;
  readonly devices: DeviceFilter | undefined;
  readonly key: SendKey | undefined;
}

/** The way of a message into mailboxes: check, encode once, publish. */
export class Sender {
  readonly #options: SenderOptions;
  /** Of this sender and no other, ever; short, because it is in the id of every message. */
  readonly #id = randomBytes(12).toString("base64url");
  #published = 0;
  #pending = 0;
  #closed = false;

  constructor(options: SenderOptions) {
    this.#options = options;
  }

  /**
   * One durable message to one user. Rejects with a UsercastError for a bad argument, `OVERLOADED`, or what the broker says. Without
   * a promise of its own, because this is done for every message.
   */
  one(user: unknown, event: unknown, data: unknown, { settings, settle }: OneSend): void {
    let isTaken = false;
    try {
      const userId = parseUserId(user);
      const draft = this.#draft(userId, this.#check(event, data, settings));
      this.#take(1);
      isTaken = true;
      const publishing = this.#options.broker.publish([draft]);
      const elsewhere = this.#options.elsewhere([userId]);
      const answer = (result: PublishResult | undefined, away?: ReadonlySet<string>): void => {
        this.#pending -= 1;
        const outcome = this.#outcome(userId, result, draft, away);
        if (outcome.state === "failed") settle.reject(outcome.error);
        else settle.resolve(outcome);
      };
      publishing.then(
        ([result]) => {
          if (elsewhere === undefined) answer(result);
          else void elsewhere.then((away) => answer(result, away));
        },
        (error: unknown) => answer({ state: "failed", error: UsercastError.from(error, "STORE_FAILED") }),
      );
    } catch (error) {
      if (isTaken) this.#pending -= 1;
      settle.reject(isTaken ? UsercastError.from(error, "STORE_FAILED") : error);
    }
  }

  /**
   * One durable message to many users: one outcome each, none hides another.
   * @throws UsercastError for an argument that is bad for all of them, `TOO_MANY_RECIPIENTS` or `OVERLOADED`
   */
  async many(users: readonly unknown[], event: unknown, data: unknown, settings: SendSettings): Promise<readonly Outcome[]> {
    this.#checkCount(users.length);
    const content = this.#check(event, data, settings);
    const outcomes: Outcome[] = [];
    const places = new Map<string, number>();
    for (const user of users) {
      try {
        const userId = parseUserId(user);
        if (places.has(userId)) continue;
        places.set(userId, outcomes.push(failed(userId, new UsercastError("INTERNAL"))) - 1);
      } catch (error) {
        outcomes.push(failed(typeof user === "string" ? user : typeof user, UsercastError.from(error)));
      }
    }
    this.#take(places.size);
    try {
      const recipients = [...places];
      for (let i = 0; i < recipients.length; i += BATCH) {
        const batch = recipients.slice(i, i + BATCH);
        const drafts = batch.map(([userId]) => this.#draft(userId, content));
        const away = batch.map(([userId]) => userId);
        const [results, elsewhere] = await Promise.all([this.#publish(drafts), this.#options.elsewhere(away)]);
        for (const [j, [userId, place]] of batch.entries()) {
          outcomes[place] = this.#outcome(userId, results[j], drafts[j], elsewhere);
        }
      }
    } finally {
      this.#pending -= places.size;
    }
    return outcomes;
  }

  /**
   * A signal to whoever is connected now.
   * @throws UsercastError for a bad argument
   */
  signal(users: readonly unknown[], event: unknown, data: unknown, settings: SendSettings): void {
    this.#checkCount(users.length);
    if (settings.idempotencyKey !== undefined || settings.ttl !== undefined) {
      throw new UsercastError("IDEMPOTENCY_KEY_ON_VOLATILE");
    }
    if (this.#closed) throw new UsercastError("SERVER_CLOSED");
    const encoded = encodeMessage(event, data, this.#options.maxPayloadBytes);
    const { broker } = this.#options;
    const signal = signalOf(encoded, settings);
    // Most signals are for one user.
    if (users.length === 1) broker.signal(parseUserId(users[0]), signal);
    else for (const userId of new Set(users.map(parseUserId))) broker.signal(userId, signal);
  }

  /** Refuses everything from now on. */
  close(): void {
    this.#closed = true;
  }

  async #publish(drafts: readonly Draft[]): Promise<readonly PublishResult[]> {
    try {
      return await this.#options.broker.publish(drafts);
    } catch (error) {
      const reason = UsercastError.from(error, "STORE_FAILED");
      return drafts.map(() => ({ state: "failed", error: reason }));
    }
  }

  #outcome(
    userId: string,
    result: PublishResult | undefined,
    draft: Draft | undefined,
    elsewhere?: ReadonlySet<string>,
  ): Outcome {
    if (result === undefined || draft === undefined) return failed(userId, new UsercastError("INTERNAL"));
    if (result.state === "failed") return failed(userId, result.error);
    const { state, epoch, offset, at } = result;
    const accepted = this.#options.isHere(userId) || elsewhere?.has(userId) ? "pushed" : "queued";
    const fields = { userId, state: state === "duplicate" ? state : accepted, epoch, offset, at } as const;
    // Of a repeated send the first one's time to live is not known here; it was the same, if the sender did not change it.
    return new Receipt(fields, this.#options, { devices: draft.devices, expiresAt: at + draft.ttlMs });
  }

  /** Checks and encodes once, for any number of recipients. */
  #check(event: unknown, data: unknown, settings: SendSettings): Content {
    const { ttl, from, devices, idempotencyKey } = settings;
    const encoded = encodeMessage(event, data, this.#options.maxPayloadBytes);
    return {
      encoded,
      ttlMs: ttl === undefined ? MAX_TTL_MS : parseTtl(ttl, MAX_TTL_MS),
      from,
      devices: devices && parseDevices(devices),
      key: idempotencyKey === undefined ? undefined : sendKey(settings, encoded),
    };
  }

  #draft(userId: string, { encoded: { text, bytes, attachments }, ttlMs, from, devices, key }: Content): Draft {
    this.#published += 1;
    const draft: Mutable<Draft> = {
      id: this.#id + this.#published,
      userId,
      text,
      bytes,
      ttlMs,
    };
    if (attachments !== undefined) draft.attachments = attachments;
    if (from !== undefined) draft.from = from;
    if (devices !== undefined) draft.devices = devices;
    if (key !== undefined) draft.key = key;
    return draft;
  }

  #checkCount(count: number): void {
    const { maxRecipients } = this.#options;
    if (count > maxRecipients) {
      throw new UsercastError("TOO_MANY_RECIPIENTS", `The send names ${count} recipients; the server accepts ${maxRecipients}.`);
    }
  }

  #take(count: number): void {
    if (this.#closed) throw new UsercastError("SERVER_CLOSED");
    // A send to many that is alone is always allowed.
    if (this.#pending > 0 && this.#pending + count > this.#options.maxPendingSends) throw new UsercastError("OVERLOADED");
    this.#pending += count;
  }
}

const failed = (userId: string, error: UsercastError): Outcome => ({ userId, state: "failed", error });

function signalOf(encoded: Encoded, { from, devices, exceptSockets }: SendSettings): Signal {
  if (from === undefined && devices === undefined && exceptSockets === undefined) return encoded;
  return {
    ...encoded,
    ...(from !== undefined && { from }),
    ...(devices && { devices: parseDevices(devices) }),
    ...(exceptSockets && { exceptSockets }),
  };
}

/** The digest covers what the recipient would get: a repetition with other content is a mistake of the sender's. */
function sendKey({ idempotencyKey, devices, receipts }: SendSettings, { text, attachments }: Encoded): SendKey {
  return {
    key: parseIdempotencyKey(idempotencyKey),
    digest: digestOf(text, attachments, devices),
    ...(receipts && { receipts }),
  };
}

function digestOf(text: string, attachments: Encoded["attachments"], devices: DeviceFilter | undefined): string {
  // In one step where there is only text: most messages of users are of this kind, and each has a key.
  if (attachments === undefined && devices === undefined) return digest("sha256", text, "base64url");
  const hash = createHash("sha256").update(text);
  for (const part of attachments ?? []) hash.update(`\n${part.byteLength}\n`).update(part);
  if (devices) hash.update(`\n${JSON.stringify(devices)}`);
  return hash.digest("base64url");
}

/** @throws UsercastError `INVALID_DEVICE` or `INVALID_TARGET` */
function parseDevices(devices: DeviceFilter): DeviceFilter {
  const parse = (device: unknown): string => (device === PLAIN_DEVICE ? device : parseDeviceId(device));
  if ("only" in devices && "except" in devices) {
    throw new UsercastError("INVALID_TARGET", "A message is for one device, or for all but one, not both.");
  }
  return "only" in devices ? { only: parse(devices.only) } : { except: parse(devices.except) };
}
