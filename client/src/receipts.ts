import { isRecord, LIMITS, type ReceiptNotice, type SendState, type StateRequest } from "@usercast/protocol";
import { forgetOldest } from "./bounded.ts";
import { Backoff, type CancelTimer, type Clock } from "./clock.ts";
import type { Lifecycle } from "./lifecycle.ts";
import { errorIn } from "./refusal.ts";
import { isLater, type Sent, SentMessage } from "./sent.ts";

/** Asks the server for states. MUST call `answered` once and later: with the answer, or with nothing where none came. */
export type AskStates = (requests: readonly StateRequest[], answered: (answer?: unknown) => void) => void;

/** What `Receipts` need. */
export interface ReceiptsParts {
  readonly clock: Clock;
  /** Is told each state that is news, beyond `accepted`. */
  readonly lifecycle: Pick<Lifecycle, "tell">;
  /** Messages followed at once, and states of others that are remembered. */
  readonly maxFollowed: number;
  /** Without them `delivered` is the last state there can be. */
  readonly readReceipts: boolean;
}

interface Followed {
  readonly sent: SentMessage;
  /** When the server forgets the key, and the message can no longer be asked for. */
  readonly endsAt: number;
}

const FIRST_WAIT_MS = 1_000;
const MAX_WAIT_MS = 30_000;

// A key is printable, so that nothing else can come to the same.
const idOf = ({ to, key }: StateRequest): string => `${key}\n${to}`;

/**
 * Follows what becomes of messages: by what the server tells, and by asking each connection's for what may have been
 * told while nobody listened, and because it may not follow them yet.
 */
export class Receipts {
  readonly #parts: ReceiptsParts;
  /** This page's messages that may still move. */
  readonly #followed = new Map<string, Followed>();
  /** The last state of others, of other pages or told before the answer to the send: each is told once. */
  readonly #heard = new Map<string, SendState>();
  readonly #failures = new Backoff(FIRST_WAIT_MS, MAX_WAIT_MS);
  #wait: CancelTimer | undefined;
  #ask: AskStates | undefined;
  #keyLifeMs = 0;

  constructor(parts: ReceiptsParts) {
    this.#parts = parts;
  }

  /** A server has accepted a message; with `follow` it will tell what becomes of it. */
  accepted(request: StateRequest, state: SendState, follow: boolean): Sent {
    const { clock, lifecycle, maxFollowed } = this.#parts;
    const id = idOf(request);
    // A receipt may overtake the answer to its send.
    const sent = new SentMessage(request, this.#heard.get(id) ?? "accepted", lifecycle);
    this.#followed.set(id, { sent, endsAt: clock.now() + this.#keyLifeMs });
    this.heard({ ...request, state });
    if (!follow || this.#isFinal(sent.state)) this.#followed.delete(id);
    forgetOldest(this.#followed, maxFollowed);
    return sent;
  }

  /** The server tells, or has answered, what became of a message. */
  heard({ to, key, state }: { readonly [Field in keyof ReceiptNotice]: unknown }): void {
    if (typeof to !== "string" || typeof key !== "string") return;
    const id = idOf({ to, key });
    const sent = this.#livingSent(id);
    if (!isLater(state, sent?.state ?? this.#heard.get(id) ?? "accepted")) return;
    if (this.#isFinal(state)) this.#followed.delete(id);
    this.#heard.delete(id); // so that it becomes the newest
    this.#heard.set(id, state);
    forgetOldest(this.#heard, this.#parts.maxFollowed);
    sent?.reach(state);
    this.#parts.lifecycle.tell("receipt", { to, key, state });
  }

  /** There is a connection: asks how far the messages are that are followed, some at a time. */
  online(ask: AskStates, keyLifeMs: number): void {
    this.#ask = ask;
    this.#failures.reset();
    this.#keyLifeMs = keyLifeMs;
    this.#askFor(
      [...this.#followed.keys()].flatMap((id) => this.#livingSent(id) ?? []),
      ask,
    );
  }

  /** The connection is gone; the next one asks again. */
  offline(): void {
    this.#ask = undefined;
    this.#wait?.();
  }

  /** Forgets everything, because what comes next is another user's. */
  clear(): void {
    this.#followed.clear();
    this.#heard.clear();
  }

  #isFinal(state: SendState): boolean {
    return state === "read" || (state === "delivered" && !this.#parts.readReceipts);
  }

  #livingSent(id: string): SentMessage | undefined {
    const { sent, endsAt = 0 } = this.#followed.get(id) ?? {};
    if (this.#parts.clock.now() < endsAt) return sent;
    this.#followed.delete(id);
    return undefined;
  }

  #askFor(messages: readonly SentMessage[], ask: AskStates): void {
    const batch = messages.slice(0, LIMITS.stateRequests).map(({ to, key }) => ({ to, key }));
    if (batch.length === 0) return;
    ask(batch, (answer) => {
      if (ask !== this.#ask) return; // another connection asks anew
      const states = isRecord(answer) && answer["states"];
      if (!Array.isArray(states) || states.length !== batch.length) {
        // A server that was not asked may not follow them. What makes no sense is left to the next connection.
        if (answer !== undefined && !errorIn(answer, "INVALID_REQUEST")?.retryable) return;
        this.#wait = this.#parts.clock.after(this.#failures.next(), () => this.#askFor(messages, ask));
        return;
      }
      for (const [i, request] of batch.entries()) this.heard({ ...request, state: states[i] });
      this.#askFor(messages.slice(batch.length), ask);
    });
  }
}
