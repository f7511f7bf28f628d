import type { Node } from "./node.ts";
import { type SocketPacket, Visit, type Visitor } from "./visit.ts";

type Listener = (...args: unknown[]) => void;
type Answered = (failure: Error | null, answer?: unknown) => void;

interface Sending {
  readonly data: readonly unknown[];
  readonly id: number | undefined;
}

interface Waiting {
  readonly answered: Answered;
  readonly cancel: () => void;
}

/** What a page is told of its socket's connections by the run. */
export type SocketVisitor = Pick<Visitor, "name" | "wrote" | "arrived" | "ended"> & {
  /** Called before a packet's listeners are. */
  readonly taking: (packet: SocketPacket, writtenAt: number) => void;
};

/**
 * As much of a socket of socket.io-client as the SDK uses: dialing, the handshake, events, answers with a time limit,
 * and what is kept for the next connection. It dials when the run says so.
 */
export class FakeSocket {
  auth: unknown;
  active = false;
  connected = false;
  sendBuffer: Sending[] = [];
  readonly volatile = { emit: (...data: unknown[]): void => this.#transmit({ data, id: undefined }) };
  readonly #visitor: SocketVisitor;
  readonly #after: (ms: number, task: () => void) => () => void;
  readonly #listeners = new Map<string, Set<Listener>>();
  readonly #waiting = new Map<number, Waiting>();
  #asked = 0;
  #visit: Visit | undefined;
  #isDead = false;

  constructor(visitor: SocketVisitor, after: (ms: number, task: () => void) => () => void) {
    this.#visitor = visitor;
    this.#after = after;
  }

  get visit(): Visit | undefined {
    return this.#visit;
  }

  /** How many listen to it: none when its client has been closed. */
  get listeners(): number {
    return [...this.#listeners.values()].reduce((sum, { size }) => sum + size, 0);
  }

  on(event: string, listener: Listener): void {
    const listeners = this.#listeners.get(event) ?? new Set();
    this.#listeners.set(event, listeners.add(listener));
  }

  off(event: string, listener: Listener): void {
    this.#listeners.get(event)?.delete(listener);
  }

  emit(...data: unknown[]): void {
    this.#send({ data, id: undefined });
  }

  timeout(ms: number): { emit: (...data: unknown[]) => void } {
    return {
      emit: (...args) => {
        const answered = args.at(-1) as Answered;
        this.#asked += 1;
        const id = this.#asked;
        const cancel = this.#after(ms, () => {
          this.sendBuffer = this.sendBuffer.filter((sending) => sending.id !== id);
          this.#answer(id, new Error("operation has timed out"));
        });
        this.#waiting.set(id, { answered, cancel });
        this.#send({ data: args.slice(0, -1), id });
      },
    };
  }

  connect(): void {
    this.active = true;
  }

  disconnect(): void {
    const visit = this.#visit;
    this.active = false;
    visit?.wire.send({ type: "close" });
    this.#lose("io client disconnect");
    visit?.wire.endClient();
  }

  /** Makes a connection, if the client wants one and has none. */
  dial(node: Node): void {
    if (!this.active || this.#visit !== undefined || this.#isDead) return;
    const { name, wrote, arrived, ended, taking } = this.#visitor;
    const visit = new Visit(node, {
      name,
      protocol: 4,
      wrote,
      arrived,
      ended,
      took: (from, packet, _note, writtenAt) => {
        if (from !== this.#visit) return;
        taking(packet, writtenAt);
        this.#took(packet);
      },
      left: (gone) => {
        if (gone === this.#visit) this.#lose("transport close");
      },
    });
    this.#visit = visit;
    const shake = this.auth as (answer: (auth: unknown) => void) => void;
    shake((auth) => {
      if (this.#visit === visit)
        visit.wire.send({ type: "event", namespace: "/", event: "connect", args: [auth], answer: undefined });
    });
  }

  /** The page is gone: nothing is told here any more. What it has sent may arrive. */
  kill(): void {
    this.#isDead = true;
    this.#listeners.clear();
    this.#waiting.clear();
    const visit = this.#visit;
    this.#visit = undefined;
    visit?.wire.send({ type: "close" });
    visit?.wire.endClient();
  }

  #send(sending: Sending): void {
    if (this.connected) this.#transmit(sending);
    else this.sendBuffer.push(sending);
  }

  #transmit({ data: [event, ...args], id }: Sending): void {
    if (this.connected) this.#visit?.wire.send({ type: "event", namespace: "/", event: String(event), args, answer: id });
  }

  #took({ type, answer, args }: SocketPacket): void {
    if (type === "connect") {
      this.connected = true;
      this.#tell("connect");
      for (const sending of this.sendBuffer.splice(0)) this.#transmit(sending);
    } else if (type === "answer") {
      this.#answer(answer ?? 0, null, args[0]);
    } else if (type === "disconnect") {
      this.active = false;
      this.#lose("io server disconnect");
    } else this.#tell(String(args[0]), ...args.slice(1));
  }

  #answer(id: number, failure: Error | null, answer?: unknown): void {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    waiting?.cancel();
    waiting?.answered(failure, answer);
  }

  #lose(reason: string): void {
    this.#visit = undefined;
    if (!this.connected) return;
    this.connected = false;
    this.#tell("disconnect", reason);
    const kept = new Set(this.sendBuffer.map(({ id }) => id));
    for (const id of [...this.#waiting.keys()]) if (!kept.has(id)) this.#answer(id, new Error("socket has been disconnected"));
  }

  #tell(event: string, ...args: unknown[]): void {
    for (const listener of [...(this.#listeners.get(event) ?? [])]) listener(...args);
  }
}
