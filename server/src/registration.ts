import { randomBytes } from "node:crypto";
import {
  EVENTS,
  type Hello,
  isRecord,
  PLAIN_DEVICE,
  PROTOCOL_VERSION,
  parseDeviceId,
  parsePosition,
  parseUserId,
  type RegisterAnswer,
  UsercastError,
} from "@usercast/protocol";
import type { Socket } from "socket.io";
import { handshakeToken, type Identity, identify, parseIdentity } from "./auth/verify.ts";
import type { Connection } from "./connection.ts";
import type { ConnectionInfo } from "./context.ts";
import type { Delivery } from "./delivery.ts";
import { controlFrame } from "./frame.ts";
import { Inbound, type Taker } from "./inbound.ts";
import { type PacketFormat, SocketLink } from "./link.ts";
import type { ResolvedOptions } from "./options.ts";
import type { CancelTimer } from "./ports.ts";
import type { UserSends } from "./user-sends.ts";

/** What all registrations of a server share. */
export interface RegistrationContext {
  readonly options: ResolvedOptions;
  readonly delivery: Delivery;
  readonly userSends: UserSends;
  readonly format: PacketFormat;
  /** An ordinary event of a registered socket. */
  readonly onEvent: (registration: Registration, event: string, args: readonly unknown[]) => void;
  readonly onError: (error: UsercastError) => void;
  readonly onEnd: (registration: Registration) => void;
}

/** Events kept while an identity is being established: more than a page sends when it opens. */
const MAX_EARLY_EVENTS = 16;

const REGISTRATION = Symbol("usercast");

type Registered = Socket & { [REGISTRATION]?: Registration };

/** A listener for any number of sockets: each calls it as its `this`. */
const hears = (take: (one: Registration, ...args: unknown[]) => void) =>
  function (this: Registered, ...args: unknown[]): void {
    const registration = this[REGISTRATION];
    if (registration !== undefined) take(registration, ...args);
  };

type Acknowledge = (answer: unknown) => void;

/**
 * What the SDK says of itself in its handshake; nothing for a plain client.
 * @throws UsercastError `INVALID_REQUEST`, `INVALID_DEVICE` or `INVALID_POSITION`
 */
function parseHello(auth: unknown): Hello | undefined {
  const value = isRecord(auth) ? auth["usercast"] : undefined;
  if (value === undefined) return undefined;
  if (!isRecord(value)) throw new UsercastError("INVALID_REQUEST", "auth.usercast must be an object.");
  if (value["v"] !== PROTOCOL_VERSION) {
    throw new UsercastError("INVALID_REQUEST", `This server speaks version ${PROTOCOL_VERSION} of the protocol.`);
  }
  const hello = {
    v: PROTOCOL_VERSION,
    device: parseDeviceId(value["device"]),
    session: parseDeviceId(value["session"]),
  } as const;
  const { position, transient, readReceipts } = value;
  return {
    ...hello,
    ...(position !== undefined && { position: parsePosition(position) }),
    ...(transient === true && { transient }),
    ...(readReceipts === false && { readReceipts }),
  };
}

/** One socket, from its connection to its end: who it belongs to and what it may do. */
export class Registration implements Taker {
  readonly socket: Socket;
  readonly #context: RegistrationContext;
  readonly #link: SocketLink;
  #connection: Connection | undefined;
  /** Whether the identity came with the handshake, so that nothing may replace it. */
  #fromHandshake = false;
  #ended = false;
  #isListening = false;
  /** Registrations are taken one after the other; the first waits for the handshake. Nothing where none is under way. */
  #turn: Promise<void> | undefined;
  /** Ordinary events that came while the handshake's identity was being established; nothing once it is. */
  #early: (readonly [event: string, args: readonly unknown[]])[] | undefined;
  /** Registrations in a second, and which one. */
  #registers = 0;
  #registersSecond = 0;
  #registerTimer: CancelTimer | undefined;
  #expiryTimer: CancelTimer | undefined;
  #inbound: Inbound | undefined;

  /** What all sockets share to hear of events: `this` is the socket, so that a connection needs none of its own. */
  static readonly #heard = Object.entries({
    [EVENTS.ack]: hears((one, offset, ...rest) => one.#onAck(offset, ...rest)),
    [EVENTS.read]: hears((one, offset, ...rest) => one.#onRead(offset, ...rest)),
    [EVENTS.send]: hears((one, request, ...rest) => one.#onSend(request, ...rest)),
    [EVENTS.state]: hears((one, requests, ...rest) => one.#onState(requests, ...rest)),
  });
  static readonly #hearsEnd = hears((one) => one.#end());
  static readonly #hearsRegister = hears((one, value, ...rest) => one.#onRegister(value, ...rest));
  static readonly #hearsAny = hears((one, event, ...args) => one.#onAny(String(event), ...args));

  constructor(socket: Socket, context: RegistrationContext) {
    this.socket = socket;
    this.#context = context;
    this.#link = new SocketLink(socket, context.format, context.options.congestionBytes);
    const { registerEvent, registerTimeoutMs, clock } = context.options;
    (socket as Registered)[REGISTRATION] = this;
    socket.on("disconnect", Registration.#hearsEnd);
    if (context.format.customEncode === undefined) this.#inbound = Inbound.of(socket, this, registerEvent);
    if (this.#inbound === undefined) this.listen();
    if (registerTimeoutMs !== false) {
      this.#registerTimer = clock.after(registerTimeoutMs, () => this.#refuse(new UsercastError("REGISTER_TIMEOUT")));
    }
    this.#early = context.options.authenticate === undefined ? undefined : [];
    this.#inTurn(() => this.#meet());
  }

  get isListening(): boolean {
    return this.#isListening;
  }

  get connection(): Connection | undefined {
    return this.#connection;
  }

  /** Begins to hear the events of the socket, once: when it is said that one comes, or where some may be on their way already. */
  listen(): void {
    if (this.#isListening || this.#ended) return;
    this.#isListening = true;
    const { registerEvent } = this.#context.options;
    for (const [event, listener] of Registration.#heard) this.socket.on(event, listener);
    this.socket.onAny(Registration.#hearsAny);
    if (registerEvent !== false) this.socket.on(registerEvent, Registration.#hearsRegister);
  }

  /** Lets go of the socket and leaves it as it was found, open. SDKs are told that the server is going. */
  detach(): void {
    const { code, message } = new UsercastError("SERVER_CLOSED").toJSON();
    this.#connection?.control(EVENTS.closing, { code, message, reconnect: true });
    this.#end();
  }

  /** The handshake: an identity, an ordinary socket, or a refusal. */
  async #meet(): Promise<void> {
    const { authenticate } = this.#context.options;
    try {
      const hello = parseHello(this.socket.handshake.auth);
      if (authenticate === undefined) return;
      const identity = await this.#inTime(identify(authenticate, this.socket));
      if (identity !== null) {
        this.#fromHandshake = true;
        await this.#become(identity, hello);
      } else if (hello !== undefined) {
        // The SDK comes to be a user, and can bring its token only here.
        throw new UsercastError(handshakeToken(this.socket.handshake) === null ? "TOKEN_MISSING" : "AUTHENTICATION_FAILED");
      }
    } catch (error) {
      this.#refuse(UsercastError.from(error, "AUTHENTICATION_FAILED"));
    } finally {
      const early = this.#early ?? [];
      this.#early = undefined;
      for (const [event, args] of early) this.#onAny(event, ...args);
    }
  }

  async #become(identity: Identity, hello = parseHello(this.socket.handshake.auth)): Promise<void> {
    if (this.#ended) return;
    const { options, delivery } = this.#context;
    this.#expireAt(identity);
    this.#registerTimer?.();
    this.#connection?.gone();
    const plain = hello === undefined;
    const info = {
      userId: identity.userId,
      device: hello?.device ?? PLAIN_DEVICE,
      socketId: this.socket.id,
      connectedAt: options.clock.now(),
      secret: randomBytes(12).toString("base64url"),
      readReceipts: hello?.readReceipts ?? true,
      ...(hello?.transient && { transient: true }),
      ...(hello === undefined ? {} : { session: hello.session }),
      // The place a client brings is in the mailbox of the user it came as.
      ...(hello?.position === undefined || this.#connection !== undefined ? {} : { claim: hello.position }),
    };
    const connection = delivery.add(info, this.#link, plain);
    this.#connection = connection;
    this.#link.listen(connection, plain);
    if (options.releaseRequest) this.#link.releaseRequest();
    await delivery.join(connection);
  }

  /** @throws UsercastError `TOKEN_EXPIRED` when that is already so */
  #expireAt({ expiresAt }: Identity): void {
    const { clock } = this.#context.options;
    // Before anything is changed: an identity that has expired must not end the watch over the one that holds.
    if (expiresAt !== undefined && expiresAt <= clock.now()) throw new UsercastError("TOKEN_EXPIRED");
    this.#expiryTimer?.();
    this.#expiryTimer = undefined;
    if (expiresAt === undefined) return;
    const look = (): void => {
      // A timer ends early where the time is further away than it can count.
      if (expiresAt > clock.now()) this.#expiryTimer = clock.after(expiresAt - clock.now(), look);
      else this.#connection?.close("TOKEN_EXPIRED", true);
    };
    this.#expiryTimer = clock.after(expiresAt - clock.now(), look);
  }

  /** What a client registers with: a user id where clients are trusted, otherwise a token. */
  async #identityOf(value: unknown): Promise<Identity> {
    const { trustClients, authenticate } = this.#context.options;
    if (trustClients) return { userId: parseUserId(value) };
    if (typeof value !== "string" || value === "") throw new UsercastError("TOKEN_MISSING");
    if (authenticate?.verifyToken === undefined) throw new UsercastError("REGISTER_NOT_ALLOWED");
    const identity = parseIdentity(await this.#inTime(authenticate.verifyToken(value)));
    if (identity === null) throw new UsercastError("TOKEN_INVALID");
    return identity;
  }

  /** @throws UsercastError `UNAVAILABLE` when nobody answers in time */
  #inTime<T>(answer: Promise<T>): Promise<T> {
    const { clock, authenticateTimeoutMs } = this.#context.options;
    return new Promise<T>((resolve, reject) => {
      const giveUp = (): void => reject(new UsercastError("UNAVAILABLE", "The identity could not be verified in time."));
      const cancel = clock.after(authenticateTimeoutMs, giveUp);
      answer.then(resolve, reject).finally(cancel);
    });
  }

  async #register(value: unknown): Promise<RegisterAnswer> {
    try {
      if (this.#fromHandshake) throw new UsercastError("REGISTER_NOT_ALLOWED");
      const identity = await this.#identityOf(value);
      const { userId } = identity;
      const isSame = this.#registeredConnection()?.userId === userId;
      if (isSame) this.#expireAt(identity);
      else if (this.#connection !== undefined && !this.#context.options.trustClients) {
        throw new UsercastError("REGISTER_NOT_ALLOWED", "This connection is registered to another user.");
      } else await this.#become(identity);
      return { ok: true, userId };
    } catch (error) {
      return { ok: false, error: UsercastError.from(error).toJSON() };
    }
  }

  /** More than an honest client needs is answered without any work. */
  #isFlood(): boolean {
    const { clock, maxRegistersPerSecond } = this.#context.options;
    const second = Math.floor(clock.now() / 1_000);
    if (this.#registersSecond !== second) this.#registers = 0;
    this.#registersSecond = second;
    this.#registers += 1;
    return this.#registers > maxRegistersPerSecond;
  }

  /** Refuses the socket: for good, unless trying again can help. */
  #refuse(error: UsercastError): void {
    if (this.#ended) return;
    if (error.cause !== undefined) this.#context.onError(error);
    const { code, message } = error.toJSON();
    const reconnect = error.retryable;
    if (this.#connection !== undefined && this.#connection.state !== "closed") {
      this.#connection.close(code, reconnect, message);
      return;
    }
    this.#link.send(controlFrame(EVENTS.closing, "", { code, message, reconnect }));
    this.#link.close(reconnect);
  }

  /** Who asks for answers and does not read them gets none: Socket.IO would keep them without a bound. */
  #callback(value: unknown): Acknowledge | undefined {
    return typeof value === "function" && !this.#link.congested ? (value as Acknowledge) : undefined;
  }

  /** A registration that came past Socket.IO. */
  onRegister(value: unknown, packet: string): void {
    const answer = this.#answerTo(packet);
    const { registerEvent } = this.#context.options;
    // It is an event of the user's as well, where there is one already.
    if (registerEvent !== false) this.#onAny(registerEvent, value, ...(answer === undefined ? [] : [answer]));
    this.#take(value, answer);
  }

  #onRegister(value: unknown, ...rest: readonly unknown[]): void {
    this.#take(value, this.#callback(rest.at(-1) ?? value));
  }

  #take(value: unknown, answer: Acknowledge | undefined): void {
    if (this.#isFlood()) {
      answer?.({ ok: false, error: new UsercastError("RATE_LIMITED").toJSON() });
      return;
    }
    this.#inTurn(async () => {
      const result = await this.#register(value);
      answer?.(result);
    });
  }

  #inTurn(take: () => Promise<void>): void {
    const turn = this.#turn === undefined ? take() : this.#turn.then(take);
    this.#turn = turn;
    void turn.finally(() => {
      if (this.#turn === turn) this.#turn = undefined;
    });
  }

  #onAck(offset: unknown, ...rest: readonly unknown[]): void {
    this.#answer(this.#callback(rest.at(-1) ?? offset), (connection) => connection.ack(offset));
  }

  #onRead(offset: unknown, ...rest: readonly unknown[]): void {
    this.#answer(this.#callback(rest.at(-1) ?? offset), (connection) => connection.read(offset));
  }

  #answer(answer: Acknowledge | undefined, take: (connection: Connection) => void): void {
    try {
      if (this.#connection === undefined) throw new UsercastError("NOT_REGISTERED");
      take(this.#connection);
      answer?.({ ok: true });
    } catch (error) {
      answer?.({ ok: false, error: UsercastError.from(error).toJSON() });
    }
  }

  /** A confirmation that came past Socket.IO. */
  onAck(offset: number): void {
    this.#answer(undefined, (connection) => connection.ack(offset));
  }

  /** A send that did. */
  onSend(request: unknown, packet: string): void {
    this.#send(request, this.#answerTo(packet));
  }

  /** Answers the packet of this number, as `#callback`. */
  #answerTo(packet: string): Acknowledge | undefined {
    return packet === "" || this.#link.congested ? undefined : (answer) => this.#link.answer(packet, answer);
  }

  #onSend(request: unknown, ...rest: readonly unknown[]): void {
    this.#send(request, this.#callback(rest.at(-1) ?? request));
  }

  #send(request: unknown, answer: Acknowledge | undefined): void {
    const sender = this.#registeredConnection();
    if (sender === undefined) answer?.({ ok: false, error: new UsercastError("NOT_REGISTERED").toJSON() });
    else this.#context.userSends.take(sender.userId, request, (result) => answer?.(result));
  }

  #onState(requests: unknown, ...rest: readonly unknown[]): void {
    const answer = this.#callback(rest.at(-1) ?? requests);
    const asker = this.#registeredConnection();
    if (asker === undefined) answer?.({ ok: false, error: new UsercastError("NOT_REGISTERED").toJSON() });
    else void this.#context.userSends.states(asker, requests).then((result) => answer?.(result));
  }

  #onAny(event: string, ...args: readonly unknown[]): void {
    // As long as some wait, later ones wait behind them.
    if (this.#early === undefined) {
      if (this.#registeredConnection() !== undefined) this.#context.onEvent(this, event, args);
    } else if (this.#early.length < MAX_EARLY_EVENTS) this.#early.push([event, args]);
  }

  #registeredConnection(): ConnectionInfo | undefined {
    const { state, info } = this.#connection ?? {};
    return state === undefined || state === "closed" ? undefined : info;
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#registerTimer?.();
    this.#expiryTimer?.();
    this.#connection?.gone();
    this.#link.release();
    const { registerEvent } = this.#context.options;
    this.#inbound?.release();
    this.socket.off("disconnect", Registration.#hearsEnd);
    for (const [event, listener] of Registration.#heard) this.socket.off(event, listener);
    this.socket.offAny(Registration.#hearsAny);
    if (registerEvent !== false) this.socket.off(registerEvent, Registration.#hearsRegister);
    delete (this.socket as Registered)[REGISTRATION];
    this.#context.onEnd(this);
  }
}
