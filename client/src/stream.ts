import {
  type Availability,
  type Cancelled,
  type Closing,
  EVENTS,
  isErrorCode,
  isOffset,
  isRecord,
  type MessageMeta,
  type Missed,
  parsePosition,
  type Question,
  RESERVED_PREFIX,
  type Ready,
  type ReadyLimits,
  type ReceiptNotice,
} from "@usercast/protocol";
import type { Socket } from "socket.io-client";
import type { Acknowledge } from "./answers.ts";
import { listen, type SocketHandler } from "./sockets.ts";

/** Told of what the server says on the connection that stands. */
export interface StreamListener {
  /** Comes once per connection, before anything else but `closing`. */
  ready(ready: Ready): void;
  message(meta: MessageMeta, event: string, data: unknown): void;
  signal(from: string | undefined, event: string, data: unknown): void;
  missed(missed: Missed): void;
  receipt(receipt: ReceiptNotice): void;
  read(offset: number): void;
  question(question: Question, event: string, data: unknown, acknowledge: Acknowledge): void;
  cancelled(cancelled: Cancelled): void;
  availability(availability: Availability): void;
  closing(closing: Closing): void;
}

const isLimits = (value: unknown): value is ReadyLimits =>
  isRecord(value) && ["windowMessages", "maxPayloadBytes", "idempotencyMs"].every((name) => isOffset(value[name]));

const isReady = (value: unknown, ownSession: string): value is Ready => {
  try {
    if (!isRecord(value)) return false;
    const { userId, secret, session, position, head, read, limits } = value;
    // Anything else was relayed by the application from a client that cannot know our session.
    if (session !== ownSession) return false;
    parsePosition(position);
    parsePosition(head);
    // A closing without a secret comes before `ready`, so the empty secret is nobody's.
    return isOffset(read) && typeof userId === "string" && typeof secret === "string" && secret !== "" && isLimits(limits);
  } catch {
    return false;
  }
};

const isMeta = (value: unknown): value is MessageMeta => {
  if (!isRecord(value)) return false;
  const { offset, at, after = 0 } = value;
  return isOffset(offset) && isOffset(at) && isOffset(after);
};

const isQuestion = (value: unknown): value is Question =>
  isRecord(value) && typeof value["id"] === "string" && isOffset(value["timeoutMs"]);

const isMissed = (value: unknown): value is Missed =>
  isRecord(value) && isOffset(value["after"]) && isOffset(value["before"]) && typeof value["reason"] === "string";

/**
 * Takes our own events from the socket. Every one bears the secret of the connection; what does not is something the
 * application relayed from another client, and is left alone. Malformed ones are left alone too: a message among them
 * is then found missing.
 */
export class Stream {
  readonly #socket: Socket;
  readonly #unlisten: () => void;
  #secret: string | undefined;

  constructor(socket: Socket, session: string, listener: StreamListener) {
    this.#socket = socket;
    const ours =
      (take: SocketHandler): SocketHandler =>
      (secret, ...rest) => {
        if (this.isReady && secret === this.#secret) take(...rest);
      };
    this.#unlisten = listen(socket, {
      [EVENTS.ready]: (ready) => {
        // Only the first one counts: a later one could be relayed by the application.
        if (this.isReady || !isReady(ready, session)) return;
        this.#secret = ready.secret;
        listener.ready(ready);
      },
      [EVENTS.message]: ours((meta, event, data) => {
        if (isMeta(meta) && typeof event === "string") listener.message(meta, event, data);
      }),
      [EVENTS.signal]: ours((meta, event, data) => {
        if (!isRecord(meta) || typeof event !== "string") return;
        const { from } = meta;
        listener.signal(typeof from === "string" ? from : undefined, event, data);
      }),
      [EVENTS.missed]: ours((missed) => {
        if (isMissed(missed)) listener.missed(missed);
      }),
      [EVENTS.receipt]: ours((receipt) => {
        if (isRecord(receipt)) listener.receipt(receipt as unknown as ReceiptNotice);
      }),
      [EVENTS.read]: ours((offset) => {
        if (isOffset(offset)) listener.read(offset);
      }),
      [EVENTS.question]: ours((question, event, data, ...rest) => {
        // Whatever is between, the acknowledgement is the last.
        const acknowledge = rest.at(-1);
        if (!isQuestion(question) || typeof event !== "string" || typeof acknowledge !== "function") return;
        listener.question(question, event, data, acknowledge as Acknowledge);
      }),
      [EVENTS.cancelled]: ours((cancelled) => {
        if (isRecord(cancelled)) listener.cancelled(cancelled as unknown as Cancelled);
      }),
      [EVENTS.availability]: ours((availability) => {
        if (isRecord(availability)) listener.availability(availability as unknown as Availability);
      }),
      [EVENTS.closing]: (secret, closing) => {
        // Without `ready` the empty secret is expected: a server that refuses us at the door has told us none.
        if (secret !== (this.#secret ?? "") || !isRecord(closing)) return;
        const { code, message, reconnect } = closing;
        // A newer server may know codes that we do not; whether to come back it says apart from them.
        listener.closing({
          code: isErrorCode(code) ? code : "INTERNAL",
          message: String(message),
          reconnect: reconnect === true,
        });
      },
    });
  }

  /** Whether the server has accepted this connection as a user's. */
  get isReady(): boolean {
    return this.#secret !== undefined;
  }

  /** The connection is gone, and its secret with it. */
  end(): void {
    this.#secret = undefined;
    // Socket.IO keeps for the next connection what it could not write to a dying one; ours counts for this one only.
    this.#socket.sendBuffer = this.#socket.sendBuffer.filter(({ data }) => !String(data[0]).startsWith(RESERVED_PREFIX));
  }

  /** Listens no more. */
  close(): void {
    this.#unlisten();
    this.end();
  }
}
