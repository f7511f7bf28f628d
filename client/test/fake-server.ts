import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import {
  type Closing,
  EVENTS,
  type HandshakeAuth,
  type MessageMeta,
  type Missed,
  type Position,
  type QuestionAnswer,
  type Ready,
  type ReceiptNotice,
  type SendAnswer,
  type SendRequest,
  type StateAnswer,
  type StateRequest,
} from "@usercast/protocol";
import { Server, type Socket } from "socket.io";

interface Entry {
  readonly offset: number;
  readonly at: number;
  readonly event: string;
  readonly data: unknown;
}

/** One connection as the server saw it. */
export interface FakeConnection {
  readonly socket: Socket;
  readonly auth: HandshakeAuth;
  readonly secret: string;
  readonly acks: number[];
  /** What was told as read. */
  readonly reads: number[];
  /** What came as answers to questions, by their ids, in the order it came. */
  readonly answers: (readonly [id: string, answer: QuestionAnswer])[];
  /** Sends `usercast:ready`, and what comes after the start. */
  accept(ready?: Partial<Ready>): void;
  frame(meta: MessageMeta, event: string, data: unknown): void;
  missed(missed: Missed): void;
  availability(available: boolean): void;
  closing(closing: Closing): void;
  receipt(receipt: ReceiptNotice): void;
  read(offset: number): void;
  ask(id: string, event: string, data?: unknown, timeoutMs?: number): void;
  cancel(id: string): void;
  /** Breaks the connection below Socket.IO, so that the client comes back by itself. */
  break(): void;
}

/** A server that speaks the wire and does what a test tells it to, right or wrong. */
export class FakeServer {
  readonly io: Server;
  readonly connections: FakeConnection[] = [];
  readonly sends: SendRequest[] = [];
  /** What was asked for the states of messages. */
  readonly stateRequests: (readonly StateRequest[])[] = [];
  epoch = "epoch-1";
  userId = "ana";
  /** Where a device starts that brings no position. */
  cursor = 0;
  windowMessages = 256;
  log: Entry[] = [];
  onConnection: (connection: FakeConnection) => void = (connection) => connection.accept();
  onSend: (request: SendRequest, answer: (answer: SendAnswer) => void) => void = (_, answer) =>
    answer({ ok: true, state: "accepted" });
  onState: (requests: readonly StateRequest[], answer: (answer: StateAnswer) => void) => void = (requests, answer) =>
    answer({ ok: true, states: requests.map(() => null) });
  readonly #http = createServer();

  constructor() {
    this.io = new Server(this.#http);
    this.io.on("connection", (socket) => this.#connected(socket));
  }

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.#http.listen(0, "127.0.0.1", resolve));
    return `http://127.0.0.1:${(this.#http.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    await this.io.close();
  }

  get last(): FakeConnection {
    const last = this.connections.at(-1);
    if (last === undefined) throw new Error("nobody has connected yet");
    return last;
  }

  positionAt(offset: number): Position {
    return { epoch: this.epoch, offset, at: offset === 0 ? 0 : 1_000 + offset };
  }

  /** Appends to the log and pushes to the newest connection, if one stands. */
  publish(event: string, data: unknown): void {
    const offset = this.log.length + 1;
    this.log.push({ offset, at: 1_000 + offset, event, data });
    const connection = this.connections.at(-1);
    if (connection?.socket.connected) connection.frame({ offset, at: 1_000 + offset }, event, data);
  }

  #connected(socket: Socket): void {
    const auth = socket.handshake.auth as HandshakeAuth;
    const secret = `secret-${this.connections.length}`;
    const frame = (meta: MessageMeta, event: string, data: unknown): void => {
      socket.emit(EVENTS.message, secret, meta, event, data);
    };
    const connection: FakeConnection = {
      socket,
      auth,
      secret,
      acks: [],
      reads: [],
      answers: [],
      frame,
      accept: (changes) => {
        const claim = auth.usercast?.position;
        const start = claim?.epoch === this.epoch ? claim : this.positionAt(this.cursor);
        const ready: Ready = {
          userId: this.userId,
          secret,
          device: auth.usercast?.device ?? "",
          session: auth.usercast?.session ?? "",
          position: start,
          head: this.positionAt(this.log.length),
          read: 0,
          limits: { windowMessages: this.windowMessages, maxPayloadBytes: 65_536, idempotencyMs: 86_400_000 },
          ...changes,
        };
        socket.emit(EVENTS.ready, ready);
        for (const { offset, at, event, data } of this.log) {
          if (offset > ready.position.offset) frame({ offset, at }, event, data);
        }
      },
      missed: (missed) => socket.emit(EVENTS.missed, secret, missed),
      availability: (available) => socket.emit(EVENTS.availability, secret, { available }),
      closing: (closing) => socket.emit(EVENTS.closing, secret, closing),
      receipt: (receipt) => socket.emit(EVENTS.receipt, secret, receipt),
      read: (offset) => socket.emit(EVENTS.read, secret, offset),
      ask: (id, event, data = null, timeoutMs = 60_000) => {
        socket.emit(EVENTS.question, secret, { id, timeoutMs }, event, data, (answer: QuestionAnswer) => {
          connection.answers.push([id, answer]);
        });
      },
      cancel: (id) => socket.emit(EVENTS.cancelled, secret, { id }),
      break: () => socket.conn.close(),
    };
    this.connections.push(connection);
    socket.on(EVENTS.ack, (offset: number, answer?: (answer: object) => void) => {
      connection.acks.push(offset);
      answer?.({ ok: true });
    });
    socket.on(EVENTS.send, (request: SendRequest, answer: (answer: SendAnswer) => void = () => undefined) => {
      this.sends.push(request);
      this.onSend(request, answer);
    });
    socket.on(EVENTS.read, (offset: number, answer?: (answer: object) => void) => {
      connection.reads.push(offset);
      answer?.({ ok: true });
    });
    socket.on(EVENTS.state, (requests: readonly StateRequest[], answer: (answer: StateAnswer) => void) => {
      this.stateRequests.push(requests);
      this.onState(requests, answer);
    });
    this.onConnection(connection);
  }
}
