import {
  type Closing,
  ERRORS,
  type ErrorCode,
  EVENTS,
  isOffset,
  type Missed,
  type Position,
  type Ready,
  UsercastError,
} from "@usercast/protocol";
import { controlFrame, messageFrame, signalFrame } from "./frame.ts";
import type { Link, LinkListener } from "./link.ts";
import type { Broker, CancelTimer, Clock, Entry, MailboxState, Page, Signal } from "./ports.ts";
import { holes, stands, startOf } from "./resume.ts";

/**
 * Where a connection is in its life.
 *
 * - `joining`: its identity is known; the subscription is confirmed, then the position is read. To `catching-up` when the start is known.
 * - `catching-up`: reads pages of the log and pushes them while there is room. To `live` when a read found nothing newer than was sent.
 * - `live`: the next entry is pushed straight from memory. To `catching-up` when the window is full, the link congested, an entry
 *   is not the next one, or the subscription was interrupted.
 * - `closed`: gone; no way out.
 */
export type ConnectionState = "joining" | "catching-up" | "live" | "closed";

/** Whose connection it is and how it speaks. */
export interface ConnectionInfo {
  readonly userId: string;
  /** `"plain"` for a client without the SDK. */
  readonly device: string;
  /** The page or process of the device; absent for a client without the SDK. */
  readonly session?: string;
  /** What the client says it had settled. */
  readonly claim?: Position;
  readonly socketId: string;
  readonly connectedAt: number;
  readonly secret: string;
}

/** What all connections of a server share. */
export interface ConnectionContext {
  readonly broker: Broker;
  readonly clock: Clock;
  readonly windowMessages: number;
  readonly windowBytes: number;
  readonly maxPayloadBytes: number;
  /** Entries per page of a catch-up. */
  readonly pageMessages: number;
  /** Milliseconds that confirmations of plain clients are gathered for one ping. */
  readonly pingIntervalMs: number;
}

/** What a connection tells its owner. */
export interface ConnectionListener {
  /** Everything up to `connection.confirmed` has reached the client, or is about to be pushed after it for the first time. */
  onConfirmed(connection: Connection): void;
  onMissed(connection: Connection, missed: Missed): void;
  onError(error: unknown): void;
  /** Called once. */
  onClosed(connection: Connection): void;
}

/** One registered connection: tails its user's mailbox, with a fast path for what is accepted now. */
export class Connection implements LinkListener {
  readonly info: ConnectionInfo;
  readonly plain: boolean;
  readonly #link: Link;
  readonly #context: ConnectionContext;
  readonly #listener: ConnectionListener;

  #state: ConnectionState = "joining";
  #epoch = "";
  /** The newest offset this connection was given, pushed or told as missed. */
  #sent = 0;
  /** Everything up to here has arrived. */
  #confirmed = 0;
  /** The newest offset anyone has hinted at. */
  #known = 0;
  /** The last hint before the start was known: it counts only if it is of the epoch the connection then begins in. */
  #hint: { readonly epoch: string; readonly offset: number } | undefined;
  #reading = false;
  /** Whether hints may have been lost since the last read began. */
  #stale = false;
  /** Offsets and sizes of what is pushed and not confirmed, oldest first. */
  readonly #window: { readonly offset: number; readonly bytes: number }[] = [];
  #windowBytes = 0;
  /** Whether the client's protocol lets us ask for a confirmation; without it only congestion bounds what is pushed. */
  #confirmable = true;
  /** Whether the broker knows that this device exists. */
  #deviceKnown = false;
  #pingTimer: CancelTimer | undefined;
  /** What the newest ping covers, and what was pushed since. */
  #pinged = 0;
  #unpingedBytes = 0;

  constructor(
    info: ConnectionInfo,
    plain: boolean,
    parts: { link: Link; context: ConnectionContext; listener: ConnectionListener },
  ) {
    this.info = info;
    this.plain = plain;
    this.#link = parts.link;
    this.#context = parts.context;
    this.#listener = parts.listener;
  }

  get state(): ConnectionState {
    return this.#state;
  }

  get epoch(): string {
    return this.#epoch;
  }

  get sent(): number {
    return this.#sent;
  }

  get confirmed(): number {
    return this.#confirmed;
  }

  /** The newest offset it is to be given, as far as is known; never below `sent`. */
  get due(): number {
    return Math.max(this.#known, this.#sent);
  }

  /**
   * Finds the start and begins to deliver. The subscription MUST be confirmed before: what is accepted from now on is
   * then either in a read or hinted at.
   *
   * @param begin for a plain connection: where it begins instead of at `offset`, by what its user's other connections owe
   */
  async join(begin?: (epoch: string, offset: number) => number): Promise<void> {
    const { broker } = this.#context;
    const { userId, device, claim } = this.info;
    const state = await broker.position(userId, device);
    const isComparable = claim !== undefined && claim.epoch === state.epoch && claim.offset > 0;
    const page = isComparable ? await broker.read(userId, claim.offset - 1, 1) : undefined;
    if (page !== undefined && page.epoch !== state.epoch) {
      // A new life began between the two answers: nothing was rewound.
      this.close("EPOCH_CHANGED", true);
      return;
    }
    const isVoid = claim !== undefined && !stands(claim, state.epoch, page);
    const first = isVoid ? (await broker.read(userId, 0, 1)).entries[0]?.offset : undefined;
    const start = startOf(state, claim, page, first ?? state.head.offset + 1);
    const position = this.plain ? undefined : await this.#positionAt(start.offset, state);
    if (this.#state !== "joining") return;
    // Nothing waits from here on, so that no cursor moves between this choice and the connection's having made it.
    const offset = begin?.(state.epoch, start.offset) ?? start.offset;
    this.#epoch = state.epoch;
    this.#sent = this.#pinged = offset;
    // A position the client brought moves no cursor; that it holds, the client may confirm.
    this.#confirmed = claim === undefined ? offset : Math.min(offset, state.device?.delivered ?? offset);
    this.#known = Math.max(state.head.offset, this.#hint?.epoch === state.epoch ? this.#hint.offset : 0);
    this.#hint = undefined;
    this.#deviceKnown = state.device !== undefined;
    if (position !== undefined) {
      const ready: Ready = {
        userId,
        secret: this.info.secret,
        device,
        session: this.info.session ?? "",
        position,
        head: state.head,
        read: state.user.read,
        limits: { windowMessages: this.#context.windowMessages, maxPayloadBytes: this.#context.maxPayloadBytes },
      };
      this.#link.send(controlFrame(EVENTS.ready, ready));
      if (start.missed !== undefined) this.#tellMissed(start.missed);
    }
    this.#enter("catching-up");
  }

  /** A durable entry was accepted. */
  entry(entry: Entry, epoch: string): void {
    if (this.#state === "closed") return;
    if (this.#state === "joining") {
      this.#hint = { epoch, offset: entry.offset };
      return;
    }
    this.#known = Math.max(this.#known, entry.offset);
    if (epoch !== this.#epoch) {
      this.close("EPOCH_CHANGED", true);
      return;
    }
    if (this.#state !== "live" || entry.offset <= this.#sent) return;
    if (entry.offset === this.#sent + 1 && this.#hasRoomFor(entry.bytes)) this.#push(entry);
    else this.#enter("catching-up");
  }

  /** A signal passes by: it is sent now or never. */
  signal(signal: Signal): void {
    if (this.#state === "joining" || this.#state === "closed" || this.#link.congested) return;
    this.#link.send(this.plain ? signal : signalFrame(signal, this.info.secret));
  }

  /** An event of ours that goes to SDK connections; dropped at congestion. */
  control(event: string, payload: unknown): void {
    if (this.plain || this.#state === "joining" || this.#state === "closed" || this.#link.congested) return;
    this.#link.send(controlFrame(event, this.info.secret, payload));
  }

  /** Hints may have been lost. */
  interrupted(): void {
    this.#stale = true;
    if (this.#state === "live") this.#enter("catching-up");
  }

  /**
   * The SDK has settled everything up to `offset`.
   * @throws UsercastError `INVALID_ACK` for what this connection was never sent
   */
  ack(offset: unknown): void {
    if (this.plain || !isOffset(offset) || offset > this.#sent) throw new UsercastError("INVALID_ACK");
    this.#confirm(offset);
  }

  /** Ends the connection, saying why. */
  close(code: ErrorCode, reconnect: boolean, message: string = ERRORS[code].message): void {
    if (this.#state === "closed") return;
    const closing: Closing = { code, message, reconnect };
    // Before `ready` the client knows no secret.
    const secret = this.plain || this.#state === "joining" ? "" : this.info.secret;
    this.#link.send(controlFrame(EVENTS.closing, secret, closing));
    this.gone();
    this.#link.close(reconnect);
  }

  /** The socket has ended, or belongs to someone else now. */
  gone(): void {
    if (this.#state === "closed") return;
    this.#enter("closed");
    this.#pingTimer?.();
    this.#pingTimer = undefined;
    this.#listener.onClosed(this);
  }

  onRoom(): void {
    void this.#catchUp();
  }

  mark(): number {
    this.#pinged = this.#sent;
    this.#unpingedBytes = 0;
    return this.#sent;
  }

  onHeartbeat(mark: number): void {
    if (this.#state !== "closed") this.#confirm(mark);
  }

  /** The position of an offset the log may no longer hold; then a time between its neighbours', which nothing contradicts. */
  async #positionAt(offset: number, { epoch, head }: MailboxState): Promise<Position> {
    const { claim, userId } = this.info;
    if (offset === 0) return { epoch, offset, at: 0 };
    if (offset === head.offset) return head;
    if (claim?.epoch === epoch && claim.offset === offset) return claim;
    const next = (await this.#context.broker.read(userId, offset - 1, 1)).entries[0];
    return { epoch, offset, at: next?.offset === offset ? next.at : (next ?? head).at - 1 };
  }

  #enter(state: ConnectionState): void {
    this.#state = state;
    if (state === "catching-up") void this.#catchUp();
  }

  #confirm(offset: number): void {
    if (offset <= this.#confirmed) return;
    this.#confirmed = offset;
    let settled = 0;
    for (const { offset: pushed, bytes } of this.#window) {
      if (pushed > offset) break;
      settled += 1;
      this.#windowBytes -= bytes;
    }
    this.#window.splice(0, settled);
    this.#listener.onConfirmed(this);
    if (this.#state === "catching-up") void this.#catchUp();
  }

  #hasRoomFor(bytes: number): boolean {
    if (this.#link.congested) return false;
    // One message is always allowed, whatever its size.
    if (!this.#confirmable || this.#window.length === 0) return true;
    const { windowMessages, windowBytes } = this.#context;
    return this.#window.length < windowMessages && this.#windowBytes + bytes <= windowBytes;
  }

  /** No more than there is room for: a client that confirms one by one must not have a whole page read for each. */
  get #pageLimit(): number {
    const { pageMessages, windowMessages } = this.#context;
    return this.#confirmable ? Math.min(pageMessages, windowMessages - this.#window.length) : pageMessages;
  }

  #push(entry: Entry): void {
    if (!this.#deviceKnown) {
      // From its first message on the device's place must not depend on what other devices confirm.
      this.#deviceKnown = true;
      this.#listener.onConfirmed(this);
    }
    const after = this.#sent === entry.offset - 1 ? undefined : this.#sent;
    this.#link.send(this.plain ? entry : messageFrame(entry, this.info.secret, after));
    this.#sent = entry.offset;
    if (this.#confirmable) {
      this.#window.push({ offset: entry.offset, bytes: entry.bytes });
      this.#windowBytes += entry.bytes;
    }
    if (this.plain) this.#requestHeartbeat(entry.bytes);
  }

  /** For plain clients a heartbeat is the confirmation: one a second, at once at half a window. */
  #requestHeartbeat(pushedBytes: number): void {
    const { windowMessages, windowBytes, pingIntervalMs, clock } = this.#context;
    this.#unpingedBytes += pushedBytes;
    const urgent = this.#sent - this.#pinged >= windowMessages / 2 || this.#unpingedBytes >= windowBytes / 2;
    if (urgent) this.#ping();
    else this.#pingTimer ??= clock.after(pingIntervalMs, () => this.#ping());
  }

  #ping(): void {
    this.#pingTimer?.();
    this.#pingTimer = undefined;
    if (!this.#confirmable || this.#pinged >= this.#sent || this.#link.ping()) return;
    this.#confirmable = false;
    this.#window.length = 0;
    this.#windowBytes = 0;
  }

  async #catchUp(): Promise<void> {
    if (this.#reading || this.#state !== "catching-up") return;
    this.#reading = true;
    try {
      while (this.#state === "catching-up" && this.#hasRoomFor(0)) {
        this.#stale = false;
        const page = await this.#context.broker.read(this.info.userId, this.#sent, this.#pageLimit);
        if (this.#state !== "catching-up") return;
        if (page.epoch !== this.#epoch) {
          this.close("EPOCH_CHANGED", true);
          return;
        }
        this.#known = Math.max(this.#known, page.head.offset);
        if (!this.#pushPage(page)) break;
        if (this.#known <= this.#sent && !this.#stale) {
          this.#enter("live");
          return;
        }
        // Others have their turn between pages, so that a crowd that comes back does not stall who is live.
        await new Promise(setImmediate);
      }
    } catch (error) {
      this.#listener.onError(error);
      this.close("UNAVAILABLE", true);
    } finally {
      this.#reading = false;
    }
    if (this.#state === "catching-up" && this.#link.congested) this.#link.awaitRoom();
  }

  /** Whether the whole page could be pushed. */
  #pushPage(page: Page): boolean {
    for (const entry of page.entries) {
      if (entry.offset <= this.#sent) continue;
      if (!this.#hasRoomFor(entry.bytes)) return false;
      this.#skipTo(entry.offset, page.trimmed);
      this.#push(entry);
    }
    this.#skipTo(page.through + 1, page.trimmed);
    return true;
  }

  /** What lies between the newest offset sent and `before` will never come. */
  #skipTo(before: number, trimmed: number): void {
    for (const missed of holes(this.#sent, before, trimmed)) {
      this.#sent = missed.before - 1;
      this.#tellMissed(missed);
    }
  }

  #tellMissed(missed: Missed): void {
    if (!this.plain) this.#link.send(controlFrame(EVENTS.missed, this.info.secret, missed));
    this.#listener.onMissed(this, missed);
  }
}
