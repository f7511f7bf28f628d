import { type Closing, UsercastError } from "@usercast/protocol";
import type { Socket } from "socket.io-client";
import { Backoff, type CancelTimer, type Clock } from "./clock.ts";
import type { Lifecycle, Status } from "./lifecycle.ts";
import { listen } from "./sockets.ts";

/** What a `Dialer` needs. */
export interface DialerParts {
  readonly socket: Socket;
  readonly clock: Clock;
  readonly lifecycle: Lifecycle;
  /** Whether the next dial may bring a fresher token than the last. */
  readonly refreshable: boolean;
  /** What goes into the handshake; may reject. */
  readonly auth: () => Promise<object>;
  readonly onConnected: () => void;
  /** The connection is gone; may be called more than once. */
  readonly onDisconnected: () => void;
  /** It will not be dialed again by itself. */
  readonly onEnded: (error: UsercastError) => void;
}

const FIRST_WAIT_MS = 1_000;
const MAX_WAIT_MS = 30_000;

/**
 * Decides when to dial: Socket.IO itself comes back from broken connections, and stays away from a server that refused
 * it. This adds the cases between: a token that expired, a token that could not be fetched, a stream that broke its word.
 */
export class Dialer {
  readonly #parts: DialerParts;
  /** After refusals; reset when the server accepts us. */
  readonly #refusals = new Backoff(FIRST_WAIT_MS, MAX_WAIT_MS);
  /** After broken streams; reset when one makes progress, because such a server does accept us. */
  readonly #breaks = new Backoff(FIRST_WAIT_MS, MAX_WAIT_MS);
  readonly #unlisten: () => void;
  #status: Status = "connecting";
  #closed = false;
  /** What the server said before it ended the connection. */
  #closing: Closing | undefined;
  #cancel: CancelTimer;
  /** Tells the newest handshake from one whose token came too late. */
  #handshakes = 0;

  constructor(parts: DialerParts) {
    this.#parts = parts;
    const { socket } = parts;
    socket.auth = (answer) => void this.#shakeHands(answer);
    this.#unlisten = listen(socket, {
      connect: () => this.#connected(),
      disconnect: (reason) => this.#disconnected(reason),
      connect_error: (error) => this.#failed(error),
    });
    // After the current task, so that the application can set its handlers first.
    this.#cancel = parts.clock.after(0, () => this.#dial());
  }

  get status(): Status {
    return this.#status;
  }

  /** The server has accepted the connection. */
  accepted(): void {
    this.#refusals.reset();
    this.#enter("online");
  }

  /** The stream of this connection makes sense. */
  progressed(): void {
    this.#breaks.reset();
  }

  /** The server said that it will end the connection; what counts is that it does. */
  announced(closing: Closing): void {
    this.#closing = closing;
    if (this.#status === "online") this.#enter("offline");
  }

  /** Leaves this connection and dials again: at once, or after the wait for what went wrong. */
  redial(because: "refused" | "broken" | "mistaken"): void {
    const waitMs = because === "mistaken" ? 0 : (because === "broken" ? this.#breaks : this.#refusals).next();
    this.#stop("offline");
    if (this.#closed) return; // here or before, by a listener
    this.#parts.socket.disconnect();
    this.#cancel = this.#parts.clock.after(waitMs, () => this.#dial());
  }

  /** Does nothing more, and leaves the socket as it is. */
  close(): void {
    this.#unlisten();
    this.#stop("closed");
    this.#closed = true;
  }

  #dial(): void {
    const { socket } = this.#parts;
    // Connecting an active socket a second time would send a second handshake.
    if (!socket.active) socket.connect();
  }

  #stop(status: Status): void {
    this.#cancel();
    this.#handshakes += 1;
    // Entered first, so that the disconnection this brings about is known to be ours.
    this.#enter(status);
    this.#parts.onDisconnected();
  }

  async #shakeHands(answer: (auth: object) => void): Promise<void> {
    this.#handshakes += 1;
    const handshake = this.#handshakes;
    try {
      const auth = await this.#parts.auth();
      // Meanwhile the connection may have been given up, or another one begun.
      if (handshake === this.#handshakes && this.#parts.socket.active) answer(auth);
    } catch (cause) {
      if (handshake !== this.#handshakes) return;
      this.#parts.lifecycle.tell("error", new UsercastError("TOKEN_UNAVAILABLE", undefined, { cause }));
      this.redial("refused");
    }
  }

  #connected(): void {
    this.#cancel();
    this.#closing = undefined;
    this.#enter("connecting");
    this.#parts.onConnected();
  }

  #disconnected(reason: unknown): void {
    this.#parts.onDisconnected();
    if (this.#parts.socket.active) this.#enter("offline");
    else if (reason === "io server disconnect") this.#refused();
    // Otherwise we or the application left. For the application's own disconnect() nothing is undone.
    else if (this.#status !== "closed") this.#enter("offline");
  }

  #failed(error: unknown): void {
    if (this.#parts.socket.active) {
      this.#enter("offline"); // the server could not be reached, and Socket.IO goes on trying
      return;
    }
    // A middleware of the application's refused.
    const refusal = new UsercastError("AUTHENTICATION_FAILED", (error as Error).message, { cause: error });
    this.#parts.lifecycle.tell("error", refusal);
    this.#end(refusal);
  }

  #refused(): void {
    const closing = this.#closing;
    if (closing?.reconnect || (closing?.code === "TOKEN_EXPIRED" && this.#parts.refreshable)) this.redial("refused");
    else this.#end(closing && new UsercastError(closing.code, closing.message));
  }

  #end(cause: UsercastError | undefined): void {
    this.#enter("closed");
    this.#parts.onEnded(new UsercastError("CLIENT_CLOSED", "The server ended the connection for good.", { cause }));
  }

  #enter(status: Status): void {
    if (this.#status === status || this.#closed) return;
    this.#status = status;
    this.#parts.lifecycle.tell("status", status);
  }
}
