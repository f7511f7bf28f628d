import {
  ERRORS,
  isErrorCode,
  isRecord,
  type ReadyLimits,
  type SendAnswer,
  type SendRequest,
  UsercastError,
} from "@usercast/protocol";
import { Backoff, type CancelTimer, type Clock } from "./clock.ts";
import type { Sent } from "./sent.ts";

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

/** What an `Outbox` needs. */
export interface OutboxParts {
  readonly clock: Clock;
  readonly maxOutbox: number;
  readonly sendTimeoutMs: number;
  readonly answerTimeoutMs: number;
  /** What becomes of a message that was accepted. */
  readonly onAccepted: (message: OutgoingMessage, answer: SendAnswer & { readonly ok: true }) => Sent;
}

interface Sending extends OutgoingMessage {
  readonly resolve: (sent: Sent) => void;
  readonly reject: (error: UsercastError) => void;
  readonly backoff: Backoff;
  /** `waiting` → `in-flight` → gone, or `resting` after a failure that can pass, and `waiting` again. */
  state: "waiting" | "in-flight" | "resting";
  readonly expiry: CancelTimer;
  rest: CancelTimer | undefined;
  /** When it was tried first: it may have been accepted, and its key remembered, from then on. */
  firstTry: { readonly now: number; readonly wall: number } | undefined;
  lapse: CancelTimer | undefined;
}

const MAX_IN_FLIGHT = 16;
const FIRST_REST_MS = 250;
const MAX_REST_MS = 10_000;

const isSendAnswer = (value: unknown): value is SendAnswer =>
  isRecord(value) && (value["ok"] === true || (value["ok"] === false && isRecord(value["error"])));

/**
 * Messages on their way to other users, kept through reconnects until the server accepts them or refuses for good, and
 * no longer than it remembers their keys: tried again after that, they could take effect twice.
 *
 * Per recipient only the oldest is in flight: a second one could be accepted while the first is put off, and overtake
 * it. Recipients do not wait for each other.
 */
export class Outbox {
  readonly #parts: OutboxParts;
  /** In the order they were sent. */
  readonly #sendings = new Set<Sending>();
  #transmit: Transmit | undefined;
  #pumping = false;
  #closed: UsercastError | undefined;
  #maxPayloadBytes = Number.POSITIVE_INFINITY;
  /** How long after its first try a message may be tried again. */
  #retryMs = Number.POSITIVE_INFINITY;

  constructor(parts: OutboxParts) {
    this.#parts = parts;
  }

  /**
   * Sends now or as soon as there is a connection.
   * @throws UsercastError (as a rejection) `OUTBOX_FULL`, `PAYLOAD_TOO_LARGE`, `SEND_EXPIRED`, `CLIENT_CLOSED`, or what the server refuses with
   */
  send(message: OutgoingMessage): Promise<Sent> {
    const { clock, maxOutbox, sendTimeoutMs } = this.#parts;
    if (this.#closed !== undefined) return Promise.reject(this.#closed);
    if (this.#sendings.size >= maxOutbox) return Promise.reject(new UsercastError("OUTBOX_FULL"));
    return new Promise((resolve, reject) => {
      const sending: Sending = {
        ...message,
        resolve,
        reject,
        backoff: new Backoff(FIRST_REST_MS, MAX_REST_MS),
        state: "waiting",
        expiry: clock.after(sendTimeoutMs, () => this.#expire(sending)),
        rest: undefined,
        firstTry: undefined,
        lapse: undefined,
      };
      this.#sendings.add(sending);
      this.#pump();
    });
  }

  /** There is a connection that takes messages. */
  online(transmit: Transmit, { maxPayloadBytes, idempotencyMs }: Pick<ReadyLimits, "maxPayloadBytes" | "idempotencyMs">): void {
    this.#closed = undefined;
    this.#transmit = transmit;
    this.#maxPayloadBytes = maxPayloadBytes;
    // A try may take as long as we wait for its answer. Where keys do not live much longer than that, half their life has to do.
    this.#retryMs = Math.max(idempotencyMs - this.#parts.answerTimeoutMs, idempotencyMs / 2);
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
    if (this.#lapses(sending)) return false;
    const { clock } = this.#parts;
    sending.firstTry ??= { now: clock.now(), wall: clock.wall() };
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
      sending.resolve(this.#parts.onAccepted(sending, answer));
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
    if (this.#lapses(sending)) return;
    if (this.#transmit === undefined) {
      sending.state = "waiting"; // for the next connection
      return;
    }
    sending.state = "resting";
    sending.rest = this.#parts.clock.after(sending.backoff.next(), () => {
      sending.state = "waiting";
      this.#pump();
    });
    this.#pump();
  }

  /** Gives a message up once its key may be forgotten, now or when the time comes; says whether it has. */
  #lapses(sending: Sending): boolean {
    const { firstTry, lapse } = sending;
    if (firstTry === undefined) return false;
    const { clock } = this.#parts;
    // The clock of timers may have stood still while the machine slept.
    const leftMs = this.#retryMs - Math.max(clock.now() - firstTry.now, clock.wall() - firstTry.wall);
    lapse?.();
    if (leftMs <= 0) this.#expire(sending);
    // What is in flight may still be answered.
    else sending.lapse = clock.after(leftMs, () => sending.state !== "in-flight" && this.#lapses(sending));
    return leftMs <= 0;
  }

  #expire(sending: Sending): void {
    this.#fail(sending, new UsercastError("SEND_EXPIRED"));
  }

  #fail(sending: Sending, error: UsercastError): void {
    this.#remove(sending);
    sending.reject(error);
  }

  #remove(sending: Sending): void {
    sending.expiry();
    sending.rest?.();
    sending.lapse?.();
    this.#sendings.delete(sending);
    this.#pump();
  }
}
