import { randomUUID } from "node:crypto";
import { UsercastError } from "@usercast/protocol";
import type { Broker, Clock, Control, Encoded, Unsubscribe } from "./ports.ts";

/** What a node says to another: a kind, and what belongs to it. */
export type Fields = Readonly<Record<string, unknown>>;

/** Answers a call, as often as there is something to say. */
export type Reply = (fields: Fields, body?: Encoded) => void;

/** Does what other nodes want of a user's connections here. */
export type CallHandler = (userId: string, fields: Fields, call: { readonly reply: Reply; readonly body?: Encoded }) => void;

/** A call to the nodes of a user. */
export interface Call {
  readonly userId: string;
  readonly kind: string;
  readonly fields: Fields;
  readonly body?: Encoded;
  readonly onReply: (fields: Fields, body: Encoded | undefined) => void;
}

/** Calls that wait for replies, at most. */
const MAX_CALLS = 20_000;
/** After this a call is made once more: what was told may have been lost, so whoever is called must not mind to hear it twice. */
const AGAIN_MS = 500;

/** Calls between this node and the others. Nothing goes out where there are no others. */
export class Switchboard {
  /** Whether this process is the only node. */
  readonly isAlone: boolean;
  readonly #broker: Broker;
  readonly #clock: Clock;
  readonly #id = randomUUID();
  readonly #handlers = new Map<string, CallHandler>();
  readonly #calls = new Map<string, Call["onReply"]>();
  #listening: Promise<Unsubscribe> | undefined;
  #called = 0;

  constructor(broker: Broker, clock: Clock) {
    this.#broker = broker;
    this.#clock = clock;
    this.isAlone = broker.scope === "process";
  }

  /** Has calls of a kind answered by `handler`. */
  handle(kind: string, handler: CallHandler): void {
    this.#handlers.set(kind, handler);
  }

  /** Tells the other nodes of a user. */
  tell(userId: string, kind: string, fields: Fields): void {
    if (!this.isAlone) this.#broker.tell({ userId }, { head: { ...fields, kind, node: this.#id } });
  }

  /**
   * Calls the other nodes of a user, until the answer of this is called.
   * @throws UsercastError `OVERLOADED`, or what the broker says
   */
  async call({ userId, kind, fields, body, onReply }: Call): Promise<() => void> {
    if (this.#calls.size >= MAX_CALLS) throw new UsercastError("OVERLOADED", "Too many calls to other nodes wait for replies.");
    const id = String(++this.#called);
    this.#calls.set(id, onReply);
    try {
      await this.#listen();
    } catch (error) {
      this.#calls.delete(id);
      throw UsercastError.from(error, "UNAVAILABLE");
    }
    const control: Control = { head: { ...fields, kind, id, node: this.#id }, ...(body && { body }) };
    this.#broker.tell({ userId }, control);
    const cancel = this.#clock.after(AGAIN_MS, () => this.#broker.tell({ userId }, control));
    return () => {
      cancel();
      this.#calls.delete(id);
    };
  }

  /** Something was told to the nodes of a user who is connected here. */
  heard(userId: string, { head, body }: Control): void {
    const { kind, id, node } = head;
    if (node === this.#id || typeof node !== "string" || typeof kind !== "string") return;
    const reply: Reply = (fields, answer) =>
      this.#broker.tell({ node }, { head: { ...fields, id }, ...(answer !== undefined && { body: answer }) });
    this.#handlers.get(kind)?.(userId, head, { reply, ...(body && { body }) });
  }

  async close(): Promise<void> {
    this.#calls.clear();
    const unlisten = await this.#listening?.catch(() => undefined);
    await unlisten?.();
  }

  /** Replies come to this node alone. It listens from its first call on. */
  async #listen(): Promise<void> {
    this.#listening ??= this.#broker.listen(this.#id, ({ head, body }) => this.#calls.get(String(head["id"]))?.(head, body));
    try {
      await this.#listening;
    } catch (error) {
      this.#listening = undefined;
      throw error;
    }
  }
}
