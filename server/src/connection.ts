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
import type { ConnectionContext, ConnectionInfo, ConnectionListener } from "./context.ts";
import { controlFrame, Framer } from "./frame.ts";
import { HeartbeatRequests } from "./heartbeat.ts";
import type { Link, LinkListener } from "./link.ts";
import { NOTHING_PASSED, named, passing, split, together } from "./passed.ts";
import { Place } from "./place.ts";
import type { Entry, Page, Signal } from "./ports.ts";
import { ReadMark } from "./read-mark.ts";
import { holes, isDue, isFor, NOTHING_ELSEWHERE } from "./resume.ts";
import { findStart, introduce, positionOf } from "./start.ts";
import { Window } from "./window.ts";

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

interface ConnectionParts {
  readonly link: Link;
  readonly context: ConnectionContext;
  readonly listener: ConnectionListener;
}

/** Between two reads of a store that is away. */
const RETRY_MS = 1_000;

/** One registered connection: tails its user's mailbox, with a fast path for what is accepted now. */
export class Connection implements LinkListener {
  readonly info: ConnectionInfo;
  readonly plain: boolean;
  readonly #link: Link;
  readonly #context: ConnectionContext;
  readonly #listener: ConnectionListener;
  #state: ConnectionState = "joining";
  #epoch = "";
  /** Everything up to here was pushed, told as missed, or is not for this connection. */
  #sent = 0;
  /** The newest offset this connection was given, pushed or told as missed: what there is to confirm. */
  #given = 0;
  /** Everything up to here has arrived. */
  #confirmed = 0;
  /** The newest offset anyone has hinted at. */
  #known = 0;
  /** The last hint before the start was known: it counts only if it is of the epoch the connection then begins in. */
  #hint: { readonly epoch: string; readonly offset: number } | undefined;
  #reading = false;
  /** Whether hints may have been lost since the last read began. */
  #stale = false;
  #frames: Framer | undefined;
  readonly #place = new Place();
  readonly #window: Window;
  /** What it was not given, above what is confirmed. */
  #passed = NOTHING_PASSED;
  #elsewhere = NOTHING_ELSEWHERE;
  /** Nothing as long as the user has read nothing. */
  #readMark: ReadMark | undefined;
  /** Whether the broker knows that this device exists. */
  #deviceKnown = false;
  /** Only for plain clients, which confirm by them. */
  readonly #heartbeats: HeartbeatRequests | undefined;

  constructor(info: ConnectionInfo, plain: boolean, { link, context, listener }: ConnectionParts) {
    this.info = info;
    this.plain = plain;
    this.#link = link;
    this.#context = context;
    this.#listener = listener;
    this.#window = new Window(context);
    // Where the client's protocol has no way to be asked, only congestion bounds what is pushed.
    if (plain) this.#heartbeats = new HeartbeatRequests(context, () => void (link.ping() || this.#window.open()));
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

  /**
   * Finds the start and begins to deliver. The subscription MUST be confirmed before: what is accepted from now on is
   * then either in a read or hinted at.
   *
   * @param enter for a plain connection: says where it begins, before anything is pushed, to those with whom it shares its device
   */
  async join(enter?: (cursor: number | undefined, head: Position) => Promise<void>): Promise<void> {
    const found = await findStart(this.#context.broker, this.info);
    if (found === undefined) return this.close("EPOCH_CHANGED", true);
    const { state, known, start } = found;
    const position = this.plain ? undefined : await positionOf(found, this.#context.broker, this.info);
    if (this.#state !== "joining") return;
    const { offset } = start;
    this.#epoch = state.epoch;
    this.#sent = this.#given = offset;
    this.#elsewhere = found.elsewhere;
    this.#passed = found.passed;
    this.#place.begin(offset, position ?? state.head);
    this.#heartbeats?.left(offset);
    // A position the client brought moves no cursor; that it holds, the client may confirm.
    this.#confirmed = this.info.claim === undefined ? offset : Math.min(offset, (known ?? state.user).delivered);
    this.#deviceKnown = known !== undefined;
    await enter?.(known?.delivered, state.head);
    if (this.#state !== "joining") return;
    this.#known = Math.max(state.head.offset, this.#hint?.epoch === state.epoch ? this.#hint.offset : 0);
    if (state.user.read > 0) this.#readMark ??= new ReadMark();
    const read = this.#readMark?.begin(state.epoch, state.user.read) ?? 0;
    if (position !== undefined) {
      const ready = { ...introduce(this.info, this.#context), position, head: state.head, read };
      this.#link.send(controlFrame(EVENTS.ready, ready satisfies Ready));
      if (start.missed !== undefined) this.#tellMissed(start.missed);
    }
    this.#enter("catching-up");
  }

  /** A durable entry was accepted. */
  entry(entry: Entry, epoch: string): void {
    if (this.#state === "joining") this.#hint = { epoch, offset: entry.offset };
    if (this.#state === "joining" || this.#state === "closed") return;
    this.#known = Math.max(this.#known, entry.offset);
    if (epoch !== this.#epoch || this.#place.isContradictedBy(entry)) this.close("EPOCH_CHANGED", true);
    if (this.#state !== "live" || entry.offset <= this.#sent) return;
    const isNext = entry.offset === this.#sent + 1 && entry.expiresAt > this.#context.broker.now();
    if (!isNext) this.#enter("catching-up");
    else if (!isFor(entry, this.info.device)) this.#passOver(entry);
    else if (this.#hasRoomFor(entry.bytes)) this.#push(entry);
    else this.#enter("catching-up");
  }

  /** A signal passes by: it is sent now or never. */
  signal(signal: Signal): void {
    if (this.#state === "joining" || this.#state === "closed" || this.#link.congested) return;
    if (!isFor(signal, this.info.device) || signal.exceptSockets?.includes(this.info.socketId)) return;
    this.#link.send(this.plain ? signal : this.#framer.signal(signal));
  }

  /** An event of ours that goes to SDK connections; dropped at congestion, and then false. */
  control(event: string, payload: unknown): boolean {
    if (this.plain || this.#state === "joining" || this.#state === "closed") return true;
    if (this.#link.congested) return false;
    this.#link.send(controlFrame(event, this.info.secret, payload));
    return true;
  }

  /** Whether a question can be put to it now. */
  get askable(): boolean {
    return this.#state !== "closed" && (this.plain || this.#state !== "joining") && !this.#link.congested;
  }

  /** Asks the client, as `Link.ask` does. */
  ask(...question: Parameters<Link["ask"]>): () => void {
    return this.#link.ask(...question);
  }

  /** The user has read up to `offset`, here or elsewhere. The client is told now, or when there is room. */
  readElsewhere(epoch: string, offset: number): void {
    if (this.#state !== "joining" && epoch !== this.#epoch) return;
    this.#readMark ??= new ReadMark();
    this.#readMark.heard(epoch, offset);
    this.#tellRead();
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

  /**
   * The user has read everything up to `offset`.
   * @throws UsercastError `INVALID_ACK` for what is no offset, or comes before the connection has its start
   */
  read(offset: unknown): void {
    if (this.#state === "joining" || !isOffset(offset)) throw new UsercastError("INVALID_ACK");
    const move = this.#place.attest({ read: offset, unshown: !this.info.readReceipts });
    if (this.#state !== "closed") this.#listener.onMoved(this, move);
  }

  /** Ends the connection, saying why. */
  close(code: ErrorCode, reconnect: boolean, message: string = ERRORS[code].message): void {
    if (this.#state === "closed") return;
    // Before `ready` the client knows no secret.
    const secret = this.plain || this.#state === "joining" ? "" : this.info.secret;
    this.#link.send(controlFrame(EVENTS.closing, secret, { code, message, reconnect } satisfies Closing));
    this.gone(code === "EPOCH_CHANGED");
    this.#link.close(reconnect);
  }

  /** The socket has ended, or belongs to someone else now; or what it was given is not in the log any more. */
  gone(isLost = false): void {
    if (this.#state === "closed") return;
    // That it was here is known from then on, also where nothing was to be confirmed.
    if (this.#deviceKnown) this.#tellMoved();
    this.#enter("closed");
    this.#heartbeats?.stop();
    this.#listener.onClosed(this, isLost);
  }

  onRoom(): void {
    this.#tellRead();
    void this.#catchUp();
  }

  mark(): number {
    return this.#heartbeats?.left(this.#sent) ?? this.#sent;
  }

  onHeartbeat(mark: number): void {
    if (this.#state !== "closed") this.#confirm(mark);
  }

  #enter(state: ConnectionState): void {
    this.#state = state;
    if (state === "catching-up") void this.#catchUp();
  }

  #confirm(offset: number): void {
    // Who confirms its very start becomes known by it: what comes while it is away is due to it.
    const isStart = offset === this.#confirmed && offset > 0 && !this.#deviceKnown && !this.plain;
    if (offset <= this.#confirmed && !isStart) return;
    this.#window.confirm(offset);
    // What came after the last message it was given was not for it, and needs no confirmation.
    this.#confirmed = offset >= this.#given ? this.#sent : offset;
    this.#tellMoved();
    if (this.#state === "catching-up") void this.#catchUp();
  }

  /** The entry is not for this connection. */
  #passOver(entry: Entry): void {
    this.#passed = passing(this.#passed, entry, this.info.device);
    this.#place.pass(entry);
    this.#skip(entry.offset);
  }

  /** `offset` is not for this connection. */
  #skip(offset: number): void {
    const isSettled = this.#confirmed >= this.#given;
    this.#sent = offset;
    if (isSettled) this.#confirmed = offset;
    if (isSettled) this.#tellMoved();
  }

  #tellMoved(): void {
    const [below, above] = split(this.#passed, this.#confirmed);
    this.#passed = above;
    this.#deviceKnown = true;
    this.#listener.onMoved(this, this.#place.attest({ delivered: this.#confirmed, ...named(below) }));
  }

  #tellRead(): void {
    if (this.plain || !this.#readMark?.isDue || this.#state === "joining" || this.#state === "closed") return;
    if (this.#link.congested) this.#link.awaitRoom();
    else this.#link.send(controlFrame(EVENTS.read, this.info.secret, this.#readMark.tell()));
  }

  #hasRoomFor(bytes: number): boolean {
    return !this.#link.congested && this.#window.hasRoomFor(bytes);
  }

  #push(entry: Entry): void {
    // From its first message on the device's place must not depend on what other devices confirm.
    if (!this.#deviceKnown) this.#tellMoved();
    const after = this.#given === entry.offset - 1 ? undefined : this.#given;
    this.#link.send(this.plain ? entry : this.#framer.message(entry, after));
    this.#context.pushes.note(this.info, entry.offset, this.#context.clock.now());
    this.#place.pass(entry);
    this.#sent = this.#given = entry.offset;
    this.#window.push(entry.offset, entry.bytes);
    this.#heartbeats?.pushed(entry.offset, entry.bytes);
  }

  get #framer(): Framer {
    this.#frames ??= new Framer(this.info.secret);
    return this.#frames;
  }

  get #mayRead(): boolean {
    return this.#state === "catching-up" && this.#hasRoomFor(0);
  }

  async #catchUp(): Promise<void> {
    if (this.#reading || this.#state !== "catching-up") return;
    this.#reading = true;
    try {
      while (this.#mayRead) {
        // Others have their turn between pages, so that a crowd that comes back does not stall who is live.
        await this.#context.turns.take();
        if (!this.#mayRead) break;
        const page = await this.#readPage();
        if (this.#state !== "catching-up") return;
        if (page === undefined) continue;
        if (page === "lost") return this.close("EPOCH_CHANGED", true);
        this.#known = Math.max(this.#known, page.head.offset);
        if (!this.#pushPage(page)) break;
        if (this.#known <= this.#sent && !this.#stale) return this.#enter("live");
      }
    } catch (error) {
      this.#listener.onError(error);
      this.close("UNAVAILABLE", true);
    } finally {
      this.#reading = false;
    }
    if (this.#state === "catching-up" && this.#link.congested) this.#link.awaitRoom();
  }

  /** What follows; nothing yet where the store is away, and `"lost"` where it no longer has what was sent. */
  async #readPage(): Promise<Page | "lost" | undefined> {
    // After an interruption the read begins with what was sent.
    const before = this.#stale ? this.#place.before : undefined;
    this.#stale = false;
    // No more than there is room for: a client that confirms one by one must not have a whole page read for each.
    const limit = Math.max(1, Math.min(this.#context.pageMessages, this.#window.room)) + (before === undefined ? 0 : 1);
    try {
      const page = await this.#context.broker.read(this.info.userId, before ?? this.#sent, limit);
      return page.epoch !== this.#epoch || this.#place.isLostIn(page, this.#sent, before !== undefined) ? "lost" : page;
    } catch (error) {
      this.#stale = true;
      if (!(error instanceof UsercastError) || error.code !== "UNAVAILABLE") throw error;
      // Who is connected stays, and goes on where it is when the store is back.
      await new Promise<void>((resolve) => void this.#context.clock.after(RETRY_MS, resolve));
      return undefined;
    }
  }

  /** Whether the whole page could be pushed. */
  #pushPage(page: Page): boolean {
    const now = this.#context.broker.now();
    for (const entry of page.entries) {
      // What has expired since it was read is a hole like any other.
      if (entry.offset <= this.#sent || entry.expiresAt <= now) continue;
      const isOurs = isDue(entry, this.info.device, this.#elsewhere);
      if (isOurs && !this.#hasRoomFor(entry.bytes)) return false;
      this.#missTo(entry.offset, page.trimmed);
      if (isOurs) this.#push(entry);
      else this.#passOver(entry);
    }
    this.#missTo(page.through + 1, page.trimmed);
    return true;
  }

  /** What lies between the newest offset sent and `before` will never come. */
  #missTo(before: number, trimmed: number): void {
    for (const missed of holes(this.#sent, before, trimmed)) {
      const last = missed.before - 1;
      this.#passed = together(this.#passed, { missed: [{ first: missed.after + 1, last }] });
      // Plain clients are told nothing, and nobody of what the user has had elsewhere: there is nothing to confirm.
      const isPast = last <= this.#elsewhere.through;
      if (this.plain || isPast) this.#skip(last);
      else this.#sent = this.#given = last;
      if (!isPast) this.#tellMissed(missed);
    }
  }

  #tellMissed(missed: Missed): void {
    if (!this.plain) this.#link.send(controlFrame(EVENTS.missed, this.info.secret, missed));
    this.#listener.onMissed(this, missed);
  }
}
