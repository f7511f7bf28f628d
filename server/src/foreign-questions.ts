import { type ErrorCode, EVENTS, UsercastError } from "@usercast/protocol";
import type { Connection } from "./connection.ts";
import { encodeMessage } from "./encode.ts";
import type { Hub } from "./hub.ts";
import type { CancelTimer, Clock, Encoded, Presence } from "./ports.ts";
import type { Read } from "./question.ts";
import type { Fields, Reply, Switchboard } from "./switchboard.ts";

/** What questions of other nodes need here. */
export interface ForeignQuestionsOptions {
  readonly hub: Hub;
  readonly presence: Presence;
  readonly switchboard: Switchboard;
  readonly clock: Clock;
  readonly maxPayloadBytes: number;
  readonly maxPendingQuestions: number;
}

/** Puts a question to a connection; the answer of this ends the wait. */
export type PutTo = (
  connection: Connection,
  question: { readonly id: string; readonly encoded: Encoded; readonly timeoutMs: number },
  answered: (read: Read) => void,
) => () => void;

interface Foreign {
  /** Connections that have not answered, with what ends the wait for each. */
  readonly waiting: Map<Connection, () => void>;
  /** Stops the timer that forgets it. */
  stopTimer: CancelTimer;
}

/** How long an answered question is remembered, because it may be told once more. */
const LINGER_MS = 2_000;

/** The event that answers travel under between nodes. */
const ANSWER = "answer";

/** Questions of other nodes to connections of this one. */
export class ForeignQuestions {
  readonly #options: ForeignQuestionsOptions;
  readonly #putTo: PutTo;
  /** By their ids, until they are answered, cancelled or their time is over. */
  readonly #questions = new Map<string, Foreign>();

  constructor(options: ForeignQuestionsOptions, putTo: PutTo) {
    this.#options = options;
    this.#putTo = putTo;
    options.switchboard.handle("ask", (userId, fields, { reply, body }) => {
      if (body !== undefined) this.#put(userId, fields, { reply, body });
    });
    options.switchboard.handle("cancel", (_, { question }) => this.#cancel(String(question)));
  }

  close(): void {
    for (const id of [...this.#questions.keys()]) this.#forget(id);
  }

  #put(userId: string, fields: Fields, { reply, body }: { readonly reply: Reply; readonly body: Encoded }): void {
    const { hub, presence, clock, maxPendingQuestions } = this.#options;
    const id = String(fields["question"]);
    // What is told twice is asked once.
    if (this.#questions.has(id)) return;
    const silent = (socketId: string, code: ErrorCode): void => reply({ socketId, code });
    const connections = new Map((hub.get(userId)?.all ?? []).map((one) => [one.info.socketId, one]));
    const asked: Connection[] = [];
    for (const [socketId, node] of fields["sockets"] as readonly (readonly [socketId: string, node: string])[]) {
      const connection = connections.get(socketId);
      if (connection?.askable) asked.push(connection);
      else if (connection !== undefined || node === presence.node) silent(socketId, "NO_ANSWER");
    }
    if (asked.length === 0) return;
    if (this.#questions.size >= maxPendingQuestions) {
      for (const { info } of asked) silent(info.socketId, "OVERLOADED");
      return;
    }
    const timeoutMs = Number(fields["timeoutMs"]);
    const foreign: Foreign = { waiting: new Map(), stopTimer: clock.after(timeoutMs, () => this.#cancel(id)) };
    this.#questions.set(id, foreign);
    for (const connection of asked) foreign.waiting.set(connection, () => {});
    for (const connection of asked) {
      const stop = this.#putTo(connection, { id, encoded: body, timeoutMs }, (read) => {
        if (!foreign.waiting.delete(connection)) return;
        this.#answer(connection.info.socketId, read, reply);
        if (foreign.waiting.size > 0) return;
        foreign.stopTimer();
        foreign.stopTimer = clock.after(LINGER_MS, () => this.#forget(id));
      });
      if (foreign.waiting.has(connection)) foreign.waiting.set(connection, stop);
    }
  }

  #answer(socketId: string, read: Read, reply: Reply): void {
    try {
      if ("code" in read) reply({ socketId, code: read.code });
      else reply({ socketId }, encodeMessage(ANSWER, read.data, this.#options.maxPayloadBytes));
    } catch (error) {
      reply({ socketId, code: UsercastError.from(error).code });
    }
  }

  #cancel(id: string): void {
    for (const connection of this.#forget(id)) connection.control(EVENTS.cancelled, { id });
  }

  /** Ends a question; the connections that had not answered are given back. */
  #forget(id: string): readonly Connection[] {
    const foreign = this.#questions.get(id);
    if (foreign === undefined) return [];
    this.#questions.delete(id);
    foreign.stopTimer();
    const connections = [...foreign.waiting.keys()];
    const stops = [...foreign.waiting.values()];
    foreign.waiting.clear();
    for (const stop of stops) stop();
    return connections;
  }
}
