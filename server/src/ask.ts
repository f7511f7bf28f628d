import { randomUUID } from "node:crypto";
import { type ErrorCode, EVENTS, isErrorCode, isRecord, parseTimeout, parseUserId, UsercastError } from "@usercast/protocol";
import type { Connection } from "./connection.ts";
import { encodeMessage } from "./encode.ts";
import type { Hub } from "./hub.ts";
import type { Clock, DeviceFilter } from "./ports.ts";
import { isFor } from "./resume.ts";

/**
 * Whose answer is wanted: `first`, whichever comes first; `newest`, that of the connection that was made last; `all`, every
 * connection's.
 */
export type AskMode = "first" | "newest" | "all";

/** One connection of a user, as it is named among those that were asked. */
export interface Asked {
  readonly device: string;
  readonly session?: string;
  readonly socketId: string;
}

/** One connection's answer. */
export interface DeviceAnswer extends Asked {
  readonly data: unknown;
}

/** A connection that gave no answer, and why: `NO_ANSWER` in time, or the code it gave instead. */
export interface Silence extends Asked {
  readonly code: ErrorCode;
}

/** What came back from all connections of a user. */
export interface Answers {
  readonly answers: readonly DeviceAnswer[];
  readonly silent: readonly Silence[];
}

/** A question to one user. */
export interface AskRequest {
  readonly user: unknown;
  readonly event: unknown;
  readonly data: unknown;
  readonly mode: AskMode;
  /** Milliseconds, or text such as `"5s"`. */
  readonly timeout?: number | string;
  readonly devices?: DeviceFilter;
}

/** How `Questions` work. */
export interface QuestionsOptions {
  readonly hub: Hub;
  readonly clock: Clock;
  readonly maxPayloadBytes: number;
  /** Questions that wait for answers at once. */
  readonly maxPendingQuestions: number;
}

const DEFAULT_TIMEOUT_MS = 10_000;

/** Questions to users that wait for their answers. */
export class Questions {
  readonly #options: QuestionsOptions;
  readonly #pending = new Set<Question>();
  #isClosed = false;

  constructor(options: QuestionsOptions) {
    this.#options = options;
  }

  /**
   * Asks the connections of one user.
   * @throws UsercastError `USER_OFFLINE` at once, `NO_ANSWER`, `INVALID_TIMEOUT`, `OVERLOADED`, `SERVER_CLOSED`, or what `encodeMessage` says of event and data
   */
  async ask({ user, event, data, mode, timeout = DEFAULT_TIMEOUT_MS, devices }: AskRequest): Promise<Answers> {
    const { hub, clock, maxPayloadBytes, maxPendingQuestions } = this.#options;
    if (this.#isClosed) throw new UsercastError("SERVER_CLOSED");
    const userId = parseUserId(user);
    const timeoutMs = parseTimeout(timeout);
    encodeMessage(event, data, maxPayloadBytes);
    if (mode !== "first" && mode !== "newest" && mode !== "all")
      throw new UsercastError("INVALID_REQUEST", "mode is first, newest or all.");
    if (this.#pending.size >= maxPendingQuestions)
      throw new UsercastError("OVERLOADED", "Too many questions wait for their answers.");
    const filter = devices === undefined ? {} : { devices };
    const connections = [...(hub.get(userId)?.all ?? [])].filter(({ info }) => isFor(filter, info.device));
    const question = new Question(String(event), data ?? null, { mode, timeoutMs });
    if (!question.put(mode === "newest" ? connections.reverse() : connections)) throw new UsercastError("USER_OFFLINE");
    this.#pending.add(question);
    const cancel = clock.after(timeoutMs, () => question.finish());
    try {
      return await question.over;
    } finally {
      cancel();
      this.#pending.delete(question);
    }
  }

  /** Ends every question with `SERVER_CLOSED`. */
  close(): void {
    this.#isClosed = true;
    for (const question of this.#pending) question.fail(new UsercastError("SERVER_CLOSED"));
  }
}

/** One question under way. */
class Question {
  readonly over: Promise<Answers>;
  readonly #id = randomUUID();
  readonly #event: string;
  readonly #data: unknown;
  readonly #how: { readonly mode: AskMode; readonly timeoutMs: number };
  /** Connections that have not answered, with what ends the wait for each. */
  readonly #waiting = new Map<Connection, () => void>();
  readonly #answers: DeviceAnswer[] = [];
  readonly #silent: Silence[] = [];
  #resolve: (answers: Answers) => void = () => {};
  #reject: (error: UsercastError) => void = () => {};
  #isOver = false;

  constructor(event: string, data: unknown, how: { readonly mode: AskMode; readonly timeoutMs: number }) {
    this.#event = event;
    this.#data = data;
    this.#how = how;
    this.over = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  /** Asks the connections that can be asked, of several only the first where the newest is wanted; whether there was one. */
  put(connections: readonly Connection[]): boolean {
    const { mode, timeoutMs } = this.#how;
    for (const connection of connections) {
      const { plain, info } = connection;
      // Plain clients are asked as any Socket.IO client is.
      const own = [info.secret, { id: this.#id, timeoutMs }, this.#event, this.#data];
      const [name, args] = plain ? [this.#event, [this.#data]] : [EVENTS.question, own];
      const stop = connection.ask(name, args, (answer) => this.#answered(connection, answer));
      if (stop !== undefined) this.#waiting.set(connection, stop);
      if (stop !== undefined && mode === "newest") break;
    }
    return this.#waiting.size > 0;
  }

  /** The time is over. */
  finish(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    for (const [connection, stop] of this.#waiting) {
      stop();
      this.#silent.push({ ...named(connection), code: "NO_ANSWER" });
      connection.control(EVENTS.cancelled, { id: this.#id });
    }
    if (this.#answers.length > 0) this.#resolve({ answers: this.#answers, silent: this.#silent });
    else this.#reject(new UsercastError("NO_ANSWER", `Nobody answered: ${this.#silent.map(described).join(", ")}.`));
  }

  fail(error: UsercastError): void {
    this.#isOver = true;
    for (const stop of this.#waiting.values()) stop();
    this.#reject(error);
  }

  #answered(connection: Connection, answer: readonly unknown[] | undefined): void {
    if (this.#isOver || !this.#waiting.delete(connection)) return;
    const read = connection.plain ? readPlain(answer) : readAnswer(answer?.[0]);
    if ("code" in read) this.#silent.push({ ...named(connection), code: read.code });
    else this.#answers.push({ ...named(connection), data: read.data });
    if (this.#waiting.size === 0 || (this.#answers.length > 0 && this.#how.mode !== "all")) this.finish();
  }
}

type Read = { readonly data: unknown } | { readonly code: ErrorCode };

const readPlain = (answer: readonly unknown[] | undefined): Read =>
  answer === undefined ? { code: "NO_ANSWER" } : { data: answer[0] ?? null };

function readAnswer(answer: unknown): Read {
  if (!isRecord(answer)) return { code: "NO_ANSWER" };
  if (answer["ok"] === true) return { data: answer["data"] ?? null };
  const code = isRecord(answer["error"]) ? answer["error"]["code"] : undefined;
  return { code: isErrorCode(code) ? code : "INTERNAL" };
}

const named = ({ info: { device, session, socketId } }: Connection): Asked =>
  session === undefined ? { device, socketId } : { device, session, socketId };

const described = ({ device, socketId, code }: Silence): string => `${device} (${socketId}): ${code}`;
