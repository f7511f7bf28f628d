import { UsercastError } from "@usercast/protocol";
import type { EventData, EventName } from "./events.ts";
import { Pending } from "./pending.ts";
import type { Outcome, Receipt, Sender, SendSettings } from "./send.ts";

/** What a target needs of the server it belongs to. */
export interface TargetContext {
  readonly sender: Sender;
  /** Told of a failure nobody awaits. */
  readonly report: (error: unknown) => void;
}

interface Audience {
  readonly users: readonly unknown[];
  /** Whether the answer is one receipt instead of a list of outcomes. */
  readonly single: boolean;
}

/**
 * Whom a message goes to and how, in the manner of Socket.IO's `BroadcastOperator`: every method but the sending ones
 * returns a new target and changes nothing. `Result` is a `Receipt` for one user, a list of `Outcome`s for several.
 */
export class Target<Events, Result> {
  readonly #context: TargetContext;
  readonly #audience: Audience;
  readonly #settings: SendSettings;

  constructor(context: TargetContext, audience: Audience, settings: SendSettings = {}) {
    this.#context = context;
    this.#audience = audience;
    this.#settings = settings;
  }

  /**
   * Sends a durable message. Resolves once it is as durable as the broker can make it.
   *
   * Rejects with a `UsercastError`: `INVALID_USER_ID`, `INVALID_EVENT`, `RESERVED_EVENT`, `INVALID_DATA`, `TOO_MANY_DATA`, `PAYLOAD_TOO_LARGE`,
   * `INVALID_TTL`, `INVALID_IDEMPOTENCY_KEY`, `IDEMPOTENCY_CONFLICT`, `IDEMPOTENCY_FULL`, `TOO_MANY_RECIPIENTS`, `OVERLOADED`, `STORE_FULL`, `STORE_FAILED` or `SERVER_CLOSED`.
   * Several recipients have one outcome each; only what concerns all of them rejects. A rejection nobody awaits becomes an
   * `error` event and does not end the process.
   */
  emit<E extends EventName<Events>>(event: E, ...data: EventData<Events, E>): Promise<Result> {
    return Pending.of(this.#send(event, data), this.#context.report);
  }

  /** `emit("message", data)`, as in Socket.IO. */
  send(...data: "message" extends keyof Events ? EventData<Events, "message"> : readonly [data?: unknown]): Promise<Result> {
    return Pending.of(this.#send("message", data), this.#context.report);
  }

  /** Makes the message a signal: for whoever is connected now, never stored, dropped at congestion. */
  get volatile(): VolatileTarget<Events> {
    return new VolatileTarget(this.#context, this.#audience.users, this.#settings);
  }

  /** Leaves out a user, or several. The answer is then a list of outcomes. */
  except(users: string | number | readonly (string | number)[]): Target<Events, readonly Outcome[]> {
    const left = without(this.#audience.users, users);
    return new Target(this.#context, { users: left, single: false }, this.#settings);
  }

  /**
   * How long the message is kept: milliseconds, or text such as `"90s"`, `"1h"`, `"7d"`; never longer than the broker's retention.
   * @default the broker's retention
   */
  ttl(ttl: number | string): Target<Events, Result> {
    return new Target(this.#context, this.#audience, { ...this.#settings, ttl });
  }

  /** Makes the send take effect once within the key's life, however often it is repeated with this key and content. */
  idempotencyKey(idempotencyKey: string): Target<Events, Result> {
    return new Target(this.#context, this.#audience, { ...this.#settings, idempotencyKey });
  }

  async #send(event: string, data: readonly unknown[]): Promise<Result> {
    const { sender } = this.#context;
    const { users, single } = this.#audience;
    const datum = onlyDatum(data);
    const answer = single
      ? await sender.one(users[0], event, datum, this.#settings)
      : await sender.many(users, event, datum, this.#settings);
    // `Result` says which of the two it is; whoever made the target chose it by `single`.
    return answer as Receipt & readonly Outcome[] as Result;
  }
}

/** Whom a signal goes to. Nothing is answered; a mistake becomes an `error` event. */
export class VolatileTarget<Events> {
  readonly #context: TargetContext;
  readonly #users: readonly unknown[];
  readonly #settings: SendSettings;

  constructor(context: TargetContext, users: readonly unknown[], settings: SendSettings) {
    this.#context = context;
    this.#users = users;
    this.#settings = settings;
  }

  /** Sends a signal. */
  emit<E extends EventName<Events>>(event: E, ...data: EventData<Events, E>): void {
    this.#send(event, data);
  }

  /** `emit("message", data)`. */
  send(...data: "message" extends keyof Events ? EventData<Events, "message"> : readonly [data?: unknown]): void {
    this.#send("message", data);
  }

  /** Leaves out a user, or several. */
  except(users: string | number | readonly (string | number)[]): VolatileTarget<Events> {
    return new VolatileTarget(this.#context, without(this.#users, users), this.#settings);
  }

  #send(event: string, data: readonly unknown[]): void {
    try {
      this.#context.sender.signal(this.#users, event, onlyDatum(data), this.#settings);
    } catch (error) {
      this.#context.report(error);
    }
  }
}

function onlyDatum(data: readonly unknown[]): unknown {
  if (data.length > 1) throw new UsercastError("TOO_MANY_DATA");
  return data[0];
}

/** `users` without `excepted`; ids that are none stay, to fail by themselves when they are sent to. */
function without(users: readonly unknown[], excepted: unknown): readonly unknown[] {
  const out = new Set((Array.isArray(excepted) ? excepted : [excepted]).map(String));
  return users.filter((user) => !out.has(String(user)));
}
