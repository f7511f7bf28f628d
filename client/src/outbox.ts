import {
  ERRORS,
  isErrorCode,
  isRecord,
  type SendAnswer,
  type SendRequest,
  type SendState,
  UsercastError,
} from "@usercast/protocol";
import { Backoff, type CancelTimer, type Clock } from "./clock.ts";

/** What became of a message sent to another user. */
export interface SendReceipt {
  readonly to: string;
  /** The key it was sent with; later receipts name it. */
  readonly key: string;
  /** `accepted`, or more where the server grants receipts to senders. */
  readonly state: SendState;
}

/** A message with its key, on its way to a server. */
export interface OutgoingMessage {
  readonly request: SendRequest & { readonly key: string };
  /** At most what the server counts. */
  readonly bytes: number;
}

/**
 * Hands one request to the connection. MUST call `answered` once and later: with the answer, or with nothing when the connection
 * is gone or the wait for it is over.
 */
export type Transmit = (request: SendRequest, answered: (answer?: unknown) => void) => void;

/** What an `Outbox` keeps to. */
export interface OutboxLimits {
  readonly maxOutbox: number;
  readonly sendTimeoutMs: number;
}

interface Sending extends OutgoingMessage {
  readonly resolve: (receipt: SendReceipt) => void;
  readonly reject: (error: UsercastError) => void;
  readonly backoff: Backoff;
  /** `waiting` → `in-flight` → gone, or `resting` after a failure that can pass, and `waiting` again. */
  state: "waiting" | "in-flight" | "resting";
  readonly expiry: CancelTimer;
  rest: CancelTimer | undefined;
}

const MAX_IN_FLIGHT = 16;
const FIRST_REST_MS = 250;
const MAX_REST_MS = 10_000;

const isSendAnswer = (value: unknown): value is SendAnswer =>
  isRecord(value) && (value["ok"] === true || (value["ok"] === false && isRecord(value["error"])));

/**
 * Messages on their way to other users, kept through reconnects until the server accepts them or refuses for good.
 *
 * Per recipient only the oldest is in flight: a second one could be accepted while the first is put off, and overtake
 * it. Recipients do not wait for each other.
 */
export class Outbox {
  readonly #clock: Clock;
  readonly #limits: OutboxLimits;
  /** In the order they were sent. */
  readonly #sendings = new Set<Sending>();
  #transmit: Transmit | undefined;
  #pumping = false;
  #closed: UsercastError | undefined;
  #maxPayloadBytes = Number.POSITIVE_INFINITY;

  constructor(clock: Clock, limits: OutboxLimits) {
    this.#clock = clock;
    this.#limits = limits;
  }

  /**
   * Sends now or as soon as there is a connection.
   * @throws UsercastError (as a rejection) `OUTBOX_FULL`, `PAYLOAD_TOO_LARGE`, `SEND_EXPIRED`, `CLIENT_CLOSED`, or what the server refuses with
   */
  send(message: OutgoingMessage): Promise<SendReceipt> {
    if (this.#closed !== undefined) return Promise.reject(this.#closed);
    if (this.#sendings.size >= this.#limits.maxOutbox) return Promise.reject(new UsercastError("OUTBOX_FULL"));
    return new Promise((resolve, reject) => {
      const sending: Sending = {
        ...message,
        resolve,
        reject,
        backoff: new Backoff(FIRST_REST_MS, MAX_REST_MS),
        state: "waiting",
        expiry: this.#clock.after(this.#limits.sendTimeoutMs, () => this.#fail(sending, new UsercastError("SEND_EXPIRED"))),
        rest: undefined,
      };
      this.#sendings.add(sending);
      this.#pump();
    });
  }

  /** There is a connection that takes messages. */
  online(transmit: Transmit, maxPayloadBytes: number): void {
    this.#closed = undefined;
    this.#transmit = transmit;
    this.#maxPayloadBytes = maxPayloadBytes;
    this.#pump();
  }

  /** The connection is gone. */
  offline(): void {
    this.#transmit = undefined;
  }

  /** Nobody will take messages any more, unless there is a connection after all: rejects what waits and what comes. */
  close(error: UsercastError): void {
    this.offline();
    this.#closed = error;
    for (const sending of this.#sendings) this.#fail(sending, error);
  }

  #pump(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    let room = MAX_IN_FLIGHT;
    for (const { state } of this.#sendings) if (state === "in-flight") room -= 1;
    const busy = new Set<string>();
    for (const sending of this.#sendings) {
      if (this.#transmit === undefined || room <= 0) break;
      const { to } = sending.request;
      if (busy.has(to)) continue;
      if (sending.state === "waiting" && this.#try(sending)) room -= 1;
      // Where it ended at once, the next to this user may go.
      if (this.#sendings.has(sending)) busy.add(to);
    }
    this.#pumping = false;
  }

  /** Whether it is in flight now. */
  #try(sending: Sending): boolean {
    if (sending.bytes > this.#maxPayloadBytes) {
      // A server closes a connection that brings too much, so trying would only cost the connection.
      this.#fail(sending, new UsercastError("PAYLOAD_TOO_LARGE"));
      return false;
    }
    sending.state = "in-flight";
    try {
      this.#transmit?.(sending.request, (answer) => this.#answered(sending, answer));
      return true;
    } catch (cause) {
      this.#fail(sending, new UsercastError("INVALID_DATA", undefined, { cause }));
      return false;
    }
  }

  #answered(sending: Sending, answer: unknown): void {
    if (!this.#sendings.has(sending)) return; // expired meanwhile
    if (!isSendAnswer(answer)) {
      // It may have been accepted or not: it is tried again, with the same key.
      this.#rest(sending);
    } else if (answer.ok) {
      const { to, key } = sending.request;
      sending.resolve({ to, key, state: answer.state });
      this.#remove(sending);
    } else {
      const { code, message } = answer.error;
      // A code of a newer server is taken as final: trying again without understanding it would help nobody.
      if (!isErrorCode(code)) this.#fail(sending, new UsercastError("INTERNAL", `${code}: ${message}`));
      else if (ERRORS[code].retryable) this.#rest(sending);
      else this.#fail(sending, new UsercastError(code, message));
    }
  }

  #rest(sending: Sending): void {
    if (this.#transmit === undefined) {
      sending.state = "waiting"; // for the next connection
      return;
    }
    sending.state = "resting";
    sending.rest = this.#clock.after(sending.backoff.next(), () => {
      sending.state = "waiting";
      this.#pump();
    });
    this.#pump();
  }

  #fail(sending: Sending, error: UsercastError): void {
    this.#remove(sending);
    sending.reject(error);
  }

  #remove(sending: Sending): void {
    sending.expiry();
    sending.rest?.();
    this.#sendings.delete(sending);
    this.#pump();
  }
}
