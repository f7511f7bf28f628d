import {
  type Availability,
  type Closing,
  EVENTS,
  type Hello,
  type MessageMeta,
  type Missed,
  type Position,
  PROTOCOL_VERSION,
  type Ready,
  type ReceiptNotice,
  type SendRequest,
  UsercastError,
} from "@usercast/protocol";
import type { Socket } from "socket.io-client";
import { type AnswerHandler, Answers } from "./answers.ts";
import type { CancelTimer, Clock } from "./clock.ts";
import { Confirmations } from "./confirmations.ts";
import { Dialer } from "./dialer.ts";
import type { AnswerOf, DataOf, DefaultEvents, EventMap, EventName, Handler } from "./events.ts";
import { type ApplicationAuth, credentials } from "./handshake.ts";
import { Inbox } from "./inbox.ts";
import { Lifecycle, type Status } from "./lifecycle.ts";
import { Listeners } from "./listeners.ts";
import type { ResolvedOptions } from "./options.ts";
import { Outbox } from "./outbox.ts";
import type { PositionStore } from "./position-store.ts";
import { Reading } from "./reading.ts";
import { Receipts } from "./receipts.ts";
import { errorIn } from "./refusal.ts";
import type { Device, Session } from "./session.ts";
import { Stream, type StreamListener } from "./stream.ts";
import { Target } from "./target.ts";

/** What a `Client` is made of. */
export interface ClientParts {
  readonly socket: Socket;
  readonly options: ResolvedOptions;
  /** What the application wants in the handshake itself. */
  readonly applicationAuth: ApplicationAuth;
  readonly device: Device;
  readonly session: Session;
  readonly positions: PositionStore;
  readonly clock: Clock;
  /** Lets go of what was taken for this client. */
  readonly onClose: () => void;
}

/** How long a client that leaves waits for the server to have heard its last words. */
const FAREWELL_MS = 1_000;

/**
 * One user's end of Usercast: handlers for what arrives, targets for what is sent. Made by `connect()`.
 *
 * Messages are handled in order, once per page life. Signals use the same handlers and say `volatile: true`.
 */
export class Client<Incoming extends EventMap<Incoming> = DefaultEvents, Outgoing extends EventMap<Outgoing> = Incoming> {
  /** The Socket.IO socket, for the application's own events. */
  readonly socket: Socket;
  readonly deviceId: string;
  /** What happens to the client itself. */
  readonly lifecycle = new Lifecycle();
  readonly #parts: ClientParts;
  readonly #handlers = new Listeners<Handler>();
  readonly #inbox: Inbox;
  readonly #outbox: Outbox;
  readonly #receipts: Receipts;
  readonly #reading: Reading;
  readonly #answers: Answers;
  readonly #confirmations: Confirmations;
  readonly #stream: Stream;
  readonly #dialer: Dialer;
  #userId: string | undefined;
  #readyTimer: CancelTimer | undefined;
  #closed = false;
  /** Whether the server can reach its store, as far as it said. */
  #isAvailable = true;

  constructor(parts: ClientParts) {
    const { socket, options, clock, positions } = parts;
    this.#parts = parts;
    this.socket = socket;
    this.deviceId = parts.device.id;
    this.#userId = options.userId;
    const common = { ...options, clock, lifecycle: this.lifecycle };
    this.#inbox = new Inbox({ ...common, handlers: this.#handlers, onProgress: () => this.#progress() });
    if (positions.position !== undefined) this.#inbox.restore(positions.position);
    this.#receipts = new Receipts(common);
    this.#outbox = new Outbox({
      ...common,
      onAccepted: ({ request }, { state, receipts }) => this.#receipts.accepted(request, state, receipts === true),
    });
    this.#reading = new Reading(
      { ...common, send: (offset, answered) => this.#request(EVENTS.read, offset, answered) },
      positions.position?.epoch,
    );
    this.#answers = new Answers(common);
    this.#stream = new Stream(socket, parts.session.id, this.#listener());
    this.#confirmations = new Confirmations(clock, options.ackIntervalMs, (offset, answered) => this.#confirm(offset, answered));
    this.#dialer = new Dialer({
      socket,
      clock,
      lifecycle: this.lifecycle,
      refreshable: typeof options.token === "function" || typeof parts.applicationAuth === "function",
      auth: () => this.#auth(),
      onConnected: () => this.#connected(),
      onDisconnected: () => this.#disconnected(),
      onEnded: (error) => this.#outbox.close(error),
    });
  }

  /** The user, once the server has said so, or the id given in the options. */
  get userId(): string | undefined {
    return this.#userId;
  }

  get status(): Status {
    return this.#dialer.status;
  }

  /** The place up to which everything has settled on this page; where a reload goes on. */
  get position(): Position | undefined {
    return this.#inbox.position;
  }

  /** Sets a handler; the answer removes it. A message that waits for a handler is given to it after the current task. */
  on<Event extends EventName<Incoming>>(event: Event, handler: Handler<DataOf<Incoming, Event>>): () => void {
    return this.#listen(event, handler as Handler, false);
  }

  /** Sets a handler for the next message or signal only; the answer removes it. */
  once<Event extends EventName<Incoming>>(event: Event, handler: Handler<DataOf<Incoming, Event>>): () => void {
    return this.#listen(event, handler as Handler, true);
  }

  /** Removes a handler, or all of an event, or all. */
  off<Event extends EventName<Incoming>>(event?: Event, handler?: Handler<DataOf<Incoming, Event>>): void {
    this.#handlers.remove(event, handler as Handler | undefined);
  }

  /**
   * Answers questions of an event: with what the handler returns, or what that resolves to. There is one handler per event,
   * because a question has one answer: the newest takes the place of the one before. The answer of this call removes it.
   */
  answer<Event extends EventName<Incoming>>(
    event: Event,
    handler: AnswerHandler<DataOf<Incoming, Event>, AnswerOf<Incoming, Event>>,
  ): () => void {
    return this.#answers.set(event, handler as AnswerHandler);
  }

  /** How far the user has read, on this page or elsewhere, as far as is known here. */
  get readOffset(): number {
    return this.#reading.offset;
  }

  /**
   * Says that the user has read everything up to `offset`, or up to the newest message known here where that is less. Kept until the
   * server knows it, unless the mailbox begins a new life.
   * @throws UsercastError `INVALID_POSITION`
   */
  markRead(offset: number): void {
    this.#reading.mark(offset, this.#inbox.newest);
  }

  /** Another user, as someone to send to. Never throws: what is wrong with the id is told by the send. */
  to(user: string | number): Target<Outgoing> {
    return new Target(
      {
        send: (message) => this.#outbox.send(message),
        signal: (request) => this.#signal(request),
        report: (error) => this.lifecycle.tell("error", error),
      },
      user,
    );
  }

  /** Leaves for good: confirms what has settled, rejects what waits to be sent with `CLIENT_CLOSED`, disconnects the socket. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    let waits = 1;
    const leave = (): void => {
      waits -= 1;
      if (waits === 0) this.socket.disconnect();
    };
    // Servers drop what comes together with a disconnect, so the last confirmation and mark are answered first.
    if (this.#confirmations.flush(leave)) waits += 1;
    if (this.#reading.flush(leave)) waits += 1;
    this.#inbox.close();
    this.#outbox.close(new UsercastError("CLIENT_CLOSED"));
    this.#dialer.close();
    this.#stream.close();
    this.#parts.onClose();
    leave();
  }

  /** The page goes, perhaps to come back: what has settled must not come again. */
  pageHidden(): void {
    this.#confirmations.flush();
    this.#reading.flush();
    this.#parts.session.putBack();
  }

  #listen(event: string, handler: Handler, once: boolean): () => void {
    const off = this.#handlers.add(event, handler, once);
    // Later, so that the caller has what `on` answers, and has set its other handlers of the same event.
    queueMicrotask(() => this.#inbox.wake());
    return off;
  }

  async #auth(): Promise<object> {
    const { options, applicationAuth, device, session, positions } = this.#parts;
    const { auth, hint } = await credentials(applicationAuth, options.token);
    const position = positions.bring(options.userId ?? hint);
    if (position !== undefined) this.#inbox.brought(position);
    const usercast: Hello = {
      v: PROTOCOL_VERSION,
      device: device.id,
      session: session.id,
      ...(position && { position }),
      ...(device.transient && { transient: true }),
      ...(!options.readReceipts && { readReceipts: false }),
    };
    return { ...auth, usercast };
  }

  #connected(): void {
    const { options, clock } = this.#parts;
    if (this.#closed) return; // by a listener, just now
    this.#readyTimer = clock.after(options.readyTimeoutMs, () => {
      const detail = "The server has not accepted this connection as a user's.";
      this.lifecycle.tell("error", new UsercastError("NOT_REGISTERED", detail));
    });
    const { userId, token, registerEvent } = options;
    if (userId === undefined || token !== undefined) return;
    // Without an answer the timer above reports.
    this.#request(registerEvent, userId, (answer) => {
      const error = errorIn(answer, "AUTHENTICATION_FAILED");
      if (error === undefined || this.#stream.isReady) return;
      this.#readyTimer?.();
      this.lifecycle.tell("error", error);
      if (error.retryable) this.#dialer.redial("refused");
    });
  }

  #disconnected(): void {
    this.#readyTimer?.();
    this.#confirmations.end();
    this.#reading.end();
    this.#receipts.offline();
    this.#outbox.offline();
    this.#stream.end();
    // Last, because this tells handlers of the application's.
    this.#answers.end();
  }

  #listener(): StreamListener {
    const { lifecycle } = this;
    return {
      ready: (ready) => this.#ready(ready),
      message: (meta, event, data) => this.#message(meta, event, data),
      signal: (from, event, data) => this.#inbox.signal(from, event, data),
      missed: (missed: Missed) => this.#inbox.missed(missed),
      receipt: (receipt: ReceiptNotice) => this.#receipts.heard(receipt),
      read: (offset) => this.#reading.heard(offset),
      question: (question, event, data, acknowledge) => this.#answers.ask(question, event, data, acknowledge),
      cancelled: ({ id }) => this.#answers.cancelled(id),
      availability: (availability) => this.#available(availability),
      closing: (closing: Closing) => {
        // Nothing of ours comes on this connection any more, even where the application keeps its socket open.
        if (this.#stream.isReady) this.#disconnected();
        this.#dialer.announced(closing);
        lifecycle.tell("closing", closing);
      },
    };
  }

  #ready({ secret: _secret, ...ready }: Ready): void {
    this.#readyTimer?.();
    const { positions } = this.#parts;
    const owner = positions.isFor(ready.userId);
    if (owner !== "same") for (const part of [this.#inbox, this.#reading, this.#receipts]) part.clear();
    if (owner === "misled") {
      // The server has taken another user's place for a lost mailbox and chosen a start by it.
      this.#dialer.redial("mistaken");
      return;
    }
    this.#userId = ready.userId;
    this.#confirmations.begin(ready.position.offset, ready.limits.windowMessages);
    this.#inbox.begin(ready);
    this.#reading.begin(ready);
    this.#answers.begin(ready.limits.maxPayloadBytes);
    // The last confirmation of the connection before may have been lost with it.
    if (ready.position.offset > 0) this.#confirm(ready.position.offset);
    // Also where nothing moved: who we are thought to be may have another name in this token.
    positions.keep(ready.userId, this.#inbox.position ?? ready.position);
    this.#dialer.accepted();
    // Nobody is accepted by a server without its store.
    this.#available({ available: true });
    this.lifecycle.tell("ready", ready);
    if (!this.#stream.isReady) return; // a listener has closed the client
    this.#outbox.online((request, answered) => this.#request(EVENTS.send, request, answered), ready.limits);
    this.#receipts.online((requests, answered) => this.#request(EVENTS.state, requests, answered), ready.limits.idempotencyMs);
    this.#reading.tell();
  }

  #available({ available }: Availability): void {
    if (available === this.#isAvailable) return;
    this.#isAvailable = available;
    this.lifecycle.tell("availability", { available });
  }

  #confirm(offset: number, answered?: () => void): void {
    if (answered === undefined) this.socket.emit(EVENTS.ack, offset);
    else this.#request(EVENTS.ack, offset, answered);
  }

  /** Asks the server; `answered` is called with nothing where no answer came in time, or the connection has gone. */
  #request(event: string, payload: unknown, answered: (answer?: unknown) => void): void {
    this.socket
      .timeout(this.#closed ? FAREWELL_MS : this.#parts.options.answerTimeoutMs)
      .emit(event, payload, (failure: unknown, answer: unknown) => answered(failure ? undefined : answer));
  }

  #message(meta: MessageMeta, event: string, data: unknown): void {
    const arrival = this.#inbox.message(meta, event, data);
    if (arrival === "accepted") this.#dialer.progressed();
    if (arrival !== "gap" && arrival !== "overflow") return;
    const what = arrival === "gap" ? "left a hole" : "exceeded its window";
    const detail = `The server ${what} before offset ${meta.offset}.`;
    this.lifecycle.tell("error", new UsercastError("STREAM_BROKEN", detail));
    this.#dialer.redial("broken");
  }

  #progress(): void {
    const { position, confirmable } = this.#inbox;
    const { positions } = this.#parts;
    // Kept before it is confirmed: what the server was told as settled must not come again after a reload.
    if (position !== undefined && this.#userId !== undefined) positions.keep(this.#userId, position);
    this.#confirmations.reach(confirmable);
  }

  #signal(request: SendRequest): void {
    if (this.#stream.isReady && this.socket.connected) this.socket.volatile.emit(EVENTS.send, request);
  }
}
