import { UsercastError } from "@usercast/protocol";
import type { AskMode, Questions } from "./ask.ts";
import type { EventData, EventName } from "./events.ts";
import { Pending, type Settle } from "./pending.ts";
import type { Answers } from "./question.ts";
import type { Receipt } from "./receipt.ts";
import type { Outcome, Sender, SendSettings } from "./send.ts";

/** What a target needs of the server it belongs to. */
export interface TargetContext {
  readonly sender: Sender;
  readonly questions: Questions;
  /** Told of a failure nobody awaits. */
  readonly report: (error: unknown) => void;
}

interface Audience {
  readonly users: readonly unknown[];
  /** Whether the answer is one receipt instead of a list of outcomes. */
  readonly single: boolean;
}

interface Settings extends SendSettings {
  /** How long a question waits for its answers. */
  readonly timeout?: number | string;
  /** Why this target cannot be sent to, found when it was built: building never throws. */
  readonly refused?: UsercastError;
}

const NO_SETTINGS: Settings = {};

/** All but one device of a user. */
export interface ExceptDevice {
  readonly device: string;
}

/**
 * Whom a message goes to and how, in the manner of Socket.IO's `BroadcastOperator`: every method but the sending ones
 * returns a new target and changes nothing. `Result` is a `Receipt` for one user, a list of `Outcome`s for several.
 */
export class Target<Events, Result> {
  readonly #context: TargetContext;
  readonly #audience: Audience;
  readonly #settings: Settings;

  constructor(context: TargetContext, audience: Audience, settings: Settings = NO_SETTINGS) {
    this.#context = context;
    this.#audience = audience;
    this.#settings = settings;
  }

  /**
   * Sends a durable message. Resolves once it is as durable as the broker can make it.
   *
   * Rejects with a `UsercastError`: `INVALID_USER_ID`, `INVALID_EVENT`, `RESERVED_EVENT`, `INVALID_DATA`, `TOO_MANY_DATA`, `PAYLOAD_TOO_LARGE`,
   * `INVALID_TTL`, `INVALID_IDEMPOTENCY_KEY`, `INVALID_DEVICE`, `INVALID_TARGET`, `IDEMPOTENCY_CONFLICT`, `IDEMPOTENCY_FULL`, `TOO_MANY_RECIPIENTS`,
   * `OVERLOADED`, `MAILBOX_FULL`, `STORE_FULL`, `STORE_FAILED` or `SERVER_CLOSED`.
   * Several recipients have one outcome each; only what concerns all of them rejects. A rejection nobody awaits becomes an
   * `error` event and does not end the process.
   */
  emit<E extends EventName<Events>>(event: E, ...data: EventData<Events, E>): Promise<Result> {
    return this.#send(event, data);
  }

  /** `emit("message", data)`, as in Socket.IO. */
  send(...data: "message" extends keyof Events ? EventData<Events, "message"> : readonly [data?: unknown]): Promise<Result> {
    return this.#send("message", data);
  }

  /**
   * Asks one user and resolves to the answer: that of the first connection to give one, or of the newest connection.
   *
   * Rejects with a `UsercastError`: `USER_OFFLINE` at once where there is no connection, `NO_ANSWER`, which names who did not
   * answer, `INVALID_TIMEOUT`, `INVALID_TARGET` for several users, `OVERLOADED`, `SERVER_CLOSED`, or what `emit` says of bad arguments.
   */
  ask(event: string, data?: unknown, options?: { readonly mode?: "first" | "newest" }): Promise<unknown>;
  /** Asks every connection of one user, and resolves when all have answered or the time is over, with whoever did not. Rejects as above. */
  ask(event: string, data: unknown, options: { readonly mode: "all" }): Promise<Answers>;
  ask(event: string, data?: unknown, { mode = "first" }: { readonly mode?: AskMode } = {}): Promise<unknown> {
    return Pending.of(this.#ask(event, data, mode), this.#context.report);
  }

  /** Makes the message a signal: for whoever is connected now, never stored, dropped at congestion. */
  get volatile(): VolatileTarget<Events> {
    return new VolatileTarget(this.#context, this.#audience.users, this.#settings);
  }

  /** One device of each user; `"plain"` is every client without the SDK. */
  device(device: string): Target<Events, Result> {
    return this.#with({ devices: { ...this.#settings.devices, only: device } });
  }

  /** All devices but one. For sockets, see `volatile`: a message that is kept outlives them. */
  except(excepted: ExceptDevice): Target<Events, Result> {
    const { device } = Object(excepted) as Partial<ExceptDevice>;
    if (device !== undefined) return this.#with({ devices: { ...this.#settings.devices, except: device } });
    const detail = "Only a device can be left out of a message that is kept: except({ device }).";
    return this.#with({ refused: new UsercastError("INVALID_TARGET", detail) });
  }

  /**
   * How long the message is kept: milliseconds, or text such as `"90s"`, `"1h"`, `"7d"`; never longer than the broker's retention.
   * @default the broker's retention
   */
  ttl(ttl: number | string): Target<Events, Result> {
    return this.#with({ ttl });
  }

  /**
   * How long a question waits for its answers: milliseconds, or text such as `"5s"`, at most a day.
   * @default 10_000
   */
  timeout(timeout: number | string): Target<Events, Result> {
    return this.#with({ timeout });
  }

  /** Makes the send take effect once within the key's life, however often it is repeated with this key and content. */
  idempotencyKey(idempotencyKey: string): Target<Events, Result> {
    return this.#with({ idempotencyKey });
  }

  #with(settings: Settings): Target<Events, Result> {
    return new Target(this.#context, this.#audience, { ...this.#settings, ...settings });
  }

  #send(event: string, data: readonly unknown[]): Promise<Result> {
    return Pending.begin<Result>((settle) => {
      const { sender } = this.#context;
      const { users, single } = this.#audience;
      try {
        if (this.#settings.refused !== undefined) throw this.#settings.refused;
        const datum = onlyDatum(data);
        // `Result` says which of the two it is; whoever made the target chose it by `single`.
        if (single)
          sender.one(users[0], event, datum, {
            settings: this.#settings,
            settle: settle as Settle<Receipt | readonly Outcome[]>,
          });
        else
          sender
            .many(users, event, datum, this.#settings)
            .then(settle.resolve as (outcomes: readonly Outcome[]) => void, settle.reject);
      } catch (error) {
        settle.reject(error);
      }
    }, this.#context.report);
  }

  async #ask(event: string, data: unknown, mode: AskMode): Promise<unknown> {
    const { users, single } = this.#audience;
    const { refused, timeout, devices } = this.#settings;
    if (refused !== undefined) throw refused;
    if (!single) throw new UsercastError("INVALID_TARGET", "A question goes to one user.");
    const answers = await this.#context.questions.ask({
      user: users[0],
      event,
      data,
      mode,
      ...(timeout !== undefined && { timeout }),
      ...(devices && { devices }),
    });
    return mode === "all" ? answers : answers.answers[0]?.data;
  }
}

/** Whom a signal goes to. Nothing is answered; a mistake becomes an `error` event. */
export class VolatileTarget<Events> {
  readonly #context: TargetContext;
  readonly #users: readonly unknown[];
  readonly #settings: Settings;

  constructor(context: TargetContext, users: readonly unknown[], settings: Settings) {
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

  /** All but one device, or all but one socket or several. */
  except(excepted: ExceptDevice | string | readonly string[]): VolatileTarget<Events> {
    const { devices, exceptSockets = [] } = this.#settings;
    const settings =
      typeof excepted === "object" && "device" in excepted
        ? { devices: { ...devices, except: excepted.device } }
        : { exceptSockets: exceptSockets.concat(excepted) };
    return new VolatileTarget(this.#context, this.#users, { ...this.#settings, ...settings });
  }

  #send(event: string, data: readonly unknown[]): void {
    try {
      if (this.#settings.refused !== undefined) throw this.#settings.refused;
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
