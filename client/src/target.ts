import { parseEvent, parseUserId, type SendRequest, UsercastError } from "@usercast/protocol";
import type { DataArgs, EventName } from "./events.ts";
import type { OutgoingMessage } from "./outbox.ts";
import type { Sent } from "./sent.ts";
import { randomId } from "./session.ts";
import { snapshot } from "./snapshot.ts";
import { watched } from "./watched.ts";

/** What a `Target` needs. */
export interface TargetParts {
  /** Keeps the message until it is accepted. */
  readonly send: (message: OutgoingMessage) => Promise<Sent>;
  /** Hands a signal over if there is a connection now. */
  readonly signal: (request: SendRequest) => void;
  /** Takes failures nobody waits for. */
  readonly report: (error: UsercastError) => void;
}

type SendArgs<Events> = "message" extends keyof Events ? DataArgs<Events, "message"> : never[];

const datum = (args: readonly unknown[]): unknown => {
  if (args.length > 1) throw new UsercastError("TOO_MANY_DATA");
  return args[0];
};

/** Another user, as someone to signal. Answers nothing and never throws: bad input is reported as a lifecycle `error`. */
export interface VolatileTarget<Events> {
  emit<Event extends EventName<Events>>(event: Event, ...data: DataArgs<Events, Event>): void;
  /** Sends a signal called `message`. */
  send(...data: SendArgs<Events>): void;
}

/** Another user, as someone to send to. Immutable: each method answers a new one. */
export class Target<Events> {
  readonly #parts: TargetParts;
  readonly #to: unknown;
  readonly #ttl: number | string | undefined;

  constructor(parts: TargetParts, to: unknown, ttl?: number | string) {
    this.#parts = parts;
    this.#to = to;
    this.#ttl = ttl;
  }

  /**
   * Sends a message: it is kept through reconnects and tried again until a server accepts it, and takes effect once. Messages to one user
   * are accepted in the order of the calls. A rejection nobody waits for is reported as a lifecycle `error`.
   * @throws UsercastError (as a rejection) `INVALID_USER_ID`, `INVALID_EVENT`, `RESERVED_EVENT`, `INVALID_DATA`,
   * `TOO_MANY_DATA`, `PAYLOAD_TOO_LARGE`, `OUTBOX_FULL`, `SEND_EXPIRED`, `CLIENT_CLOSED`, or what the server refuses with, such as `FORBIDDEN` or `INVALID_TTL`
   */
  emit<Event extends EventName<Events>>(event: Event, ...data: DataArgs<Events, Event>): Promise<Sent> {
    return watched(this.#emit(event, data), (error) => this.#parts.report(UsercastError.from(error)));
  }

  /** Sends a `message`, as in Socket.IO. Fails as `emit` does. */
  send(...data: SendArgs<Events>): Promise<Sent> {
    return watched(this.#emit("message", data), (error) => this.#parts.report(UsercastError.from(error)));
  }

  /** The same user, for signals: they reach whoever is connected now, and are dropped where anything is in their way. */
  get volatile(): VolatileTarget<Events> {
    const signal = (event: string, args: readonly unknown[]): void => {
      try {
        if (this.#ttl !== undefined) throw new UsercastError("IDEMPOTENCY_KEY_ON_VOLATILE");
        const { data } = snapshot(datum(args));
        this.#parts.signal({ to: parseUserId(this.#to), event: parseEvent(event), data, volatile: true });
      } catch (error) {
        this.#parts.report(UsercastError.from(error));
      }
    };
    return { emit: (event, ...data) => signal(event, data), send: (...data) => signal("message", data) };
  }

  /** The same user, for messages that expire after so many milliseconds, or a time such as `"1h"`. */
  ttl(ttl: number | string): Target<Events> {
    return new Target(this.#parts, this.#to, ttl);
  }

  // Async, so that what is wrong with the input is a rejection too.
  async #emit(event: string, args: readonly unknown[]): Promise<Sent> {
    const { data, bytes } = snapshot([parseEvent(event), datum(args)]);
    const request = {
      to: parseUserId(this.#to),
      event,
      data: (data as readonly unknown[])[1] ?? null,
      key: randomId(),
      ...(this.#ttl !== undefined && { ttl: this.#ttl }),
    };
    // The server counts event and data without the brackets around them.
    return this.#parts.send({ request, bytes: bytes - 2 });
  }
}
