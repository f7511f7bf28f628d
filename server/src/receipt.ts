import { PLAIN_DEVICE, type Position, parseDeviceId, parseTimeout, UsercastError } from "@usercast/protocol";
import { Pending } from "./pending.ts";
import type { Broker, CancelTimer, Clock, DeviceFilter, ReceiptGrant } from "./ports.ts";
import type { Receipts } from "./receipts.ts";
import { isFor } from "./resume.ts";

/** How long a sender waits for what becomes of a message. */
export interface ReceiptWait {
  /**
   * Milliseconds, or text such as `"30s"`, at most a day.
   * @default 30_000
   */
  readonly timeout?: number | string;
  /**
   * The device that is to confirm or read it.
   * @default the first that does
   */
  readonly device?: string;
}

/** Who confirmed or read a message, and when. */
export interface Confirmation {
  /** The first device; absent where that is forgotten. Clients without the SDK are `"plain"`. */
  readonly device?: string;
  /** Milliseconds since 1970. Of what happened before anybody asked: when the device's cursor last moved. */
  readonly at: number;
}

/** What a receipt needs of the server. */
export interface ReceiptContext {
  readonly broker: Broker;
  readonly clock: Clock;
  readonly receipts: Receipts;
  /** Told of a failure nobody awaits. */
  readonly report: (error: unknown) => void;
}

/** What became of a message, as a sender on the server learns it. */
export interface ReceiptFields extends Position {
  readonly userId: string;
  /**
   * `pushed`: accepted while at least one connection of the user lived. `queued`: kept until the user comes. `duplicate`:
   * the idempotency key had taken effect before, at this place.
   */
  readonly state: "pushed" | "queued" | "duplicate";
}

const DEFAULT_TIMEOUT_MS = 30_000;
/** How long after its expiry a message may still be confirmed by who was given it in time. */
const LATE_MS = 5_000;

/** What the sender of a message learns once it is accepted, and a way to wait for more. */
export class Receipt implements ReceiptFields {
  readonly userId: string;
  readonly state: ReceiptFields["state"];
  readonly epoch: string;
  readonly offset: number;
  readonly at: number;
  readonly #context: ReceiptContext;
  readonly #devices: DeviceFilter | undefined;
  readonly #expiresAt: number;

  constructor(
    fields: ReceiptFields,
    context: ReceiptContext,
    message: { readonly devices: DeviceFilter | undefined; readonly expiresAt: number },
  ) {
    this.userId = fields.userId;
    this.state = fields.state;
    this.epoch = fields.epoch;
    this.offset = fields.offset;
    this.at = fields.at;
    this.#context = context;
    this.#devices = message.devices;
    this.#expiresAt = message.expiresAt;
  }

  /**
   * Waits until a device has confirmed the message.
   * @throws UsercastError (as a rejection) `RECEIPT_TIMEOUT`; `MESSAGE_GONE` when it expired, was trimmed or purged unconfirmed;
   * `INVALID_TIMEOUT`, `INVALID_DEVICE`, `INVALID_TARGET` for a device it is not for, `OVERLOADED`, `SERVER_CLOSED` or `UNAVAILABLE`
   */
  delivered(wait: ReceiptWait = {}): Promise<Confirmation> {
    return Pending.of(this.#wait("delivered", wait), this.#context.report);
  }

  /**
   * Waits until the user has read the message, on a device that has read receipts on.
   * @throws UsercastError (as a rejection) as `delivered` does
   */
  read(wait: ReceiptWait = {}): Promise<Confirmation> {
    return Pending.of(this.#wait("read", wait), this.#context.report);
  }

  async #wait(until: ReceiptGrant, { timeout = DEFAULT_TIMEOUT_MS, device }: ReceiptWait): Promise<Confirmation> {
    const { receipts, clock, broker } = this.#context;
    const timeoutMs = parseTimeout(timeout);
    const devices = device === undefined ? this.#devices : this.#only(device);
    // Once it has expired and those who were given it have had their time, nobody will confirm it any more.
    const expiryMs = until === "delivered" ? this.#expiresAt + LATE_MS - broker.now() : Number.POSITIVE_INFINITY;
    const { userId: recipient, epoch, offset } = this;
    let following: Promise<() => void> | undefined;
    let cancel: CancelTimer = () => {};
    try {
      return await new Promise<Confirmation>((resolve, reject) => {
        const onPassage = (state: ReceiptGrant, passage: Confirmation): void => {
          if (state === until) resolve(passage);
        };
        cancel = clock.after(Math.max(0, Math.min(timeoutMs, expiryMs)), () => {
          this.#whyNot(until, expiryMs < timeoutMs).then(reject, reject);
        });
        following = receipts.await({ recipient, epoch, offset, until, onPassage, onEnd: reject, ...(devices && { devices }) });
        following.catch(reject);
      });
    } finally {
      cancel();
      // It may have begun only after the wait was over.
      following?.then((stop) => stop()).catch(() => {});
    }
  }

  /** Why it was not confirmed, or not read, in its time. */
  async #whyNot(until: ReceiptGrant, isExpired: boolean): Promise<UsercastError> {
    const { broker } = this.#context;
    const { epoch, entries } = await broker.read(this.userId, this.offset - 1, 1);
    const isGone = isExpired || epoch !== this.epoch || entries[0]?.offset !== this.offset;
    return new UsercastError(until === "delivered" && isGone ? "MESSAGE_GONE" : "RECEIPT_TIMEOUT");
  }

  #only(device: string): DeviceFilter {
    const only = device === PLAIN_DEVICE ? device : parseDeviceId(device);
    if (isFor(this.#devices === undefined ? {} : { devices: this.#devices }, only)) return { only };
    throw new UsercastError("INVALID_TARGET", "The message is not for this device.");
  }
}
