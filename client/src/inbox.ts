import { type MessageMeta, type Missed, type Position, type Ready, UsercastError } from "@usercast/protocol";
import type { CancelTimer, Clock } from "./clock.ts";
import type { Handler, MessageInfo } from "./events.ts";
import type { Lifecycle } from "./lifecycle.ts";
import type { Listeners } from "./listeners.ts";

/** One life of the mailbox, as far as this page has followed it. */
interface Life {
  readonly epoch: string;
  /** The newest offset that came or was explained; what is not above it is a repetition. */
  known: number;
  /** Up to here everything has settled. */
  settled: number;
  /** The newest settled place whose time is known: that of a missed message is not, and a wrong one would look like a rewound log. */
  position: Position;
  /** What is above `settled`, in order of offset. */
  readonly unsettled: Place[];
  /** What has settled after its place was brought to a server, which will send it again. */
  settledSince: Place[];
}

interface Place {
  readonly life: Life;
  readonly offset: number;
  readonly at: number | undefined;
  settled: boolean;
}

interface Message extends Place {
  readonly event: string;
  readonly data: unknown;
  readonly info: MessageInfo;
  /** When it stops waiting for a handler. */
  readonly waitsUntil: number;
}

/** What an `Inbox` needs. */
export interface InboxParts {
  readonly clock: Clock;
  readonly lifecycle: Pick<Lifecycle, "tell">;
  readonly handlers: Listeners<Handler>;
  readonly handlerTimeoutMs: number;
  readonly handlerWaitMs: number;
  /** `position` or `confirmable` may have moved. */
  readonly onProgress: () => void;
}

/**
 * What became of an arrival. `gap` and `overflow` mean that the server broke its word: nothing of the message was
 * taken, and the stream cannot go on.
 */
export type Arrival = "accepted" | "duplicate" | "gap" | "overflow";

const isThenable = (value: unknown): value is PromiseLike<unknown> =>
  typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";

/**
 * Puts what arrives over any number of connections in order, starts each message's handlers once, and knows up to where
 * everything has settled. Knows no socket.
 *
 * A message without a handler holds back the ones behind it until it gets one or its wait is over: order holds across
 * events. Handlers that are running hold nobody back.
 */
export class Inbox {
  readonly #parts: InboxParts;
  #life: Life | undefined;
  /** Not started yet, in order; after a change of epoch also what is left of the old life, so that it is not lost. */
  #waiting: Message[] = [];
  readonly #timers = new Set<CancelTimer>();
  #holdTimer: CancelTimer | undefined;
  #starting = false;
  #closed = false;

  /** The newest offset that this connection was sent, or began at: more must not be confirmed on it. */
  #received = 0;
  /** The offset of the place that was brought to it. */
  #brought: number | undefined;
  #ready: Pick<Ready, "position" | "head" | "limits"> | undefined;
  /** Whether this connection began a new life of the mailbox. */
  #reborn = false;

  constructor(parts: InboxParts) {
    this.#parts = parts;
  }

  /** Where an earlier life of this page had come to. */
  restore(position: Position): void {
    this.#life = newLife(position);
  }

  /** The place to resume from. */
  get position(): Position | undefined {
    return this.#life?.position;
  }

  /** The newest offset that is known to exist; no bound where nothing is known. */
  get newest(): number {
    return this.#life === undefined ? Number.POSITIVE_INFINITY : Math.max(this.#life.known, this.#ready?.head.offset ?? 0);
  }

  /** Up to where this connection may be told that everything has settled. */
  get confirmable(): number {
    return Math.min(this.#life?.settled ?? 0, this.#received);
  }

  /** A place is brought to a server: what is above it will be sent again, also what settles meanwhile. */
  brought({ offset }: Position): void {
    this.#brought = this.#received = offset;
  }

  /** A connection begins. */
  begin(ready: Pick<Ready, "position" | "head" | "limits">): void {
    this.#ready = ready;
    this.#received = ready.position.offset;
    this.#reborn = this.#life?.epoch !== ready.position.epoch;
    if (this.#life === undefined || this.#reborn) this.#beginLife(ready.position);
    // Where our place stood, nobody but us knows that we were given more than the log now holds.
    else if (ready.position.offset === this.#brought) this.#rewind(this.#life, ready.head.offset);
  }

  /** A message arrives on the connection that began last. */
  message(meta: MessageMeta, event: string, data: unknown): Arrival {
    const { offset, at, after = offset - 1, from, key } = meta;
    const life = this.#life;
    if (this.#closed) return "duplicate";
    if (life === undefined || this.#ready === undefined) return "gap";
    if (offset <= life.known) {
      // What is sent again is as it was: with another time it is another message.
      const given = [...life.settledSince, ...life.unsettled].find((place) => place.offset === offset)?.at;
      if (given === undefined || given === at) {
        this.#sawUpTo(offset);
        return "duplicate";
      }
      this.#rewind(life, offset - 1);
    }
    if (after > life.known) return "gap";
    // The server's window keeps below one windowful; twice as much is no accident.
    if (life.unsettled.length >= 2 * this.#ready.limits.windowMessages) return "overflow";
    const { epoch } = life;
    const message: Message = {
      life,
      offset,
      at,
      settled: false,
      event,
      data,
      info: { volatile: false, epoch, offset, at, ...(from !== undefined && { from }), ...(key !== undefined && { key }) },
      waitsUntil: this.#parts.clock.now() + this.#parts.handlerWaitMs,
    };
    life.known = offset;
    life.unsettled.push(message);
    this.#waiting.push(message);
    this.#sawUpTo(offset);
    this.wake();
    return "accepted";
  }

  /** A signal arrives. It has no place in the order, so that one without a handler is gone. */
  signal(from: string | undefined, event: string, data: unknown): void {
    if (this.#closed) return;
    const info = { volatile: true, ...(from !== undefined && { from }) } as const;
    for (const handler of this.#parts.handlers.take(event)) this.#call(() => handler(data, info), `the signal "${event}"`);
  }

  /** The server says what will not come. */
  missed(missed: Missed): void {
    const { after, before, reason } = missed;
    if (this.#life === undefined || this.#ready === undefined || this.#closed) return;
    if (reason === "epoch" || reason === "rewound") {
      // A log that was rewound may still bear the epoch we knew.
      if (!this.#reborn) this.#beginLife(this.#ready.position);
      this.#reborn = true;
      // Of an empty mailbox nothing can have been missed.
      if (after > 0 || before > 1) this.#parts.lifecycle.tell("missed", missed);
      return;
    }
    const life = this.#life;
    const through = before - 1;
    if (through > life.known) {
      const { head } = this.#ready;
      const at = head.epoch === life.epoch && head.offset === through ? head.at : undefined;
      // Told from where *we* know: what is between is missing here, whatever the server thinks it has sent.
      this.#parts.lifecycle.tell("missed", { after: life.known, before, reason });
      life.known = through;
      // Ranges that follow each other take one place, so that they cannot pile up behind a message that waits.
      const last = life.unsettled.at(-1);
      if (last?.settled && last.at === undefined) life.unsettled.pop();
      life.unsettled.push({ life, offset: through, at, settled: true });
    }
    this.#sawUpTo(through);
    this.#advance(life);
  }

  /** Starts what can be started: call it when a handler was added. */
  wake(): void {
    if (this.#starting || this.#closed) return;
    this.#starting = true;
    this.#holdTimer?.();
    this.#holdTimer = undefined;
    try {
      // A handler may close the inbox, clear it, or add handlers, so everything is looked at anew each time.
      while (this.#startNext());
    } finally {
      this.#starting = false;
    }
    if (this.#life !== undefined) this.#advance(this.#life);
  }

  /** Forgets everything, because what comes next is another user's. */
  clear(): void {
    this.#waiting = [];
    this.#life = undefined;
    this.#ready = undefined;
  }

  /** Starts nothing any more; handlers that run are left to themselves. */
  close(): void {
    this.#closed = true;
    this.clear();
    this.#holdTimer?.();
    for (const cancel of this.#timers) cancel();
    this.#timers.clear();
  }

  #beginLife(position: Position): void {
    this.#life = newLife(position);
    this.#received = position.offset;
    this.#parts.onProgress();
  }

  /**
   * The store has lost what this page was given behind `through`: what comes there now is new. Handlers that run go on, and what
   * waits for them is started.
   */
  #rewind(life: Life, through: number): void {
    if (through >= life.known) return;
    const missed: Missed = { after: life.known, before: through + 1, reason: "rewound" };
    life.known = through;
    life.settledSince = [];
    while ((life.unsettled.at(-1)?.offset ?? 0) > through) life.unsettled.pop();
    if (life.settled > through && this.#ready !== undefined) {
      life.settled = through;
      life.position = this.#ready.position;
    }
    this.#parts.lifecycle.tell("missed", missed);
  }

  #sawUpTo(offset: number): void {
    if (offset <= this.#received) return;
    this.#received = offset;
    if (this.#life !== undefined) this.#life.settledSince = this.#life.settledSince.filter((place) => place.offset > offset);
    this.#parts.onProgress();
  }

  /** Starts or gives up the first message that waits; false when there is none, or it has to wait on. */
  #startNext(): boolean {
    const [next] = this.#waiting;
    if (next === undefined || this.#closed) return false;
    const handled = this.#parts.handlers.has(next.event);
    const waitMs = next.waitsUntil - this.#parts.clock.now();
    if (!handled && waitMs > 0) {
      this.#holdTimer = this.#parts.clock.after(waitMs, () => this.wake());
      return false;
    }
    this.#waiting.shift();
    if (handled) this.#start(next);
    else {
      next.settled = true;
      this.#parts.lifecycle.tell("unhandled", { event: next.event, data: next.data, info: next.info });
    }
    return true;
  }

  #start(message: Message): void {
    const what = `"${message.event}" at offset ${message.offset}`;
    const running = this.#parts.handlers
      .take(message.event)
      .map((handler) => this.#call(() => handler(message.data, message.info), what))
      .filter((work) => work !== undefined);
    if (running.length === 0 || this.#closed) {
      message.settled = true;
      return;
    }
    const settle = (): void => {
      cancel();
      this.#timers.delete(cancel);
      if (message.settled || this.#closed) return;
      message.settled = true;
      this.#advance(message.life);
    };
    const cancel = this.#parts.clock.after(this.#parts.handlerTimeoutMs, () => {
      this.#parts.lifecycle.tell("error", new UsercastError("HANDLER_TIMEOUT", `The handler of ${what} took too long.`));
      settle();
    });
    this.#timers.add(cancel);
    void Promise.all(running).then(settle);
  }

  /** Calls one handler; the promise, if it gave one, never rejects. */
  #call(handler: () => unknown, what: string): Promise<void> | undefined {
    const failed = (cause: unknown): void =>
      this.#parts.lifecycle.tell("error", new UsercastError("HANDLER_FAILED", `The handler of ${what} failed.`, { cause }));
    try {
      const result = handler();
      if (isThenable(result)) return Promise.resolve(result).then(() => undefined, failed);
    } catch (error) {
      failed(error);
    }
    return undefined;
  }

  #advance(life: Life): void {
    let moved = false;
    for (let first = life.unsettled[0]; first?.settled; first = life.unsettled[0]) {
      life.unsettled.shift();
      if (first.offset > this.#received) life.settledSince.push(first);
      life.settled = first.offset;
      if (first.at !== undefined) life.position = { epoch: life.epoch, offset: first.offset, at: first.at };
      moved = true;
    }
    if (moved && life === this.#life) this.#parts.onProgress();
  }
}

const newLife = (position: Position): Life => ({
  epoch: position.epoch,
  known: position.offset,
  settled: position.offset,
  position,
  unsettled: [],
  settledSince: [],
});
