import { type ErrorCode, isErrorCode, isRecord, UsercastError } from "@usercast/protocol";

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

/** What one connection answered, or why it did not. */
export type Read = { readonly data: unknown } | { readonly code: ErrorCode };

/** One connection that is asked. */
export interface Party extends Asked {
  /** Ends the wait for it. */
  stop(): void;
  /** Tells it that its answer is not wanted any more. */
  cancel(): void;
}

/** One question under way. */
export class Question {
  readonly over: Promise<Answers>;
  readonly #waitsForAll: boolean;
  /** Connections that have not answered, by their socket ids. */
  readonly #waiting = new Map<string, Party>();
  readonly #answers: DeviceAnswer[] = [];
  readonly #silent: Silence[] = [];
  #resolve: (answers: Answers) => void = () => {};
  #reject: (error: UsercastError) => void = () => {};
  #isOver = false;

  constructor(parties: readonly Party[], waitsForAll: boolean) {
    for (const party of parties) this.#waiting.set(party.socketId, party);
    this.#waitsForAll = waitsForAll;
    this.over = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  /** A connection has answered, or will not. */
  answered(socketId: string, read: Read): void {
    const party = this.#waiting.get(socketId);
    if (this.#isOver || party === undefined) return;
    this.#waiting.delete(socketId);
    if ("code" in read) this.#silent.push({ ...named(party), code: read.code });
    else this.#answers.push({ ...named(party), data: read.data });
    if (this.#waiting.size === 0 || (this.#answers.length > 0 && !this.#waitsForAll)) this.finish();
  }

  /** The time is over. */
  finish(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    for (const party of this.#waiting.values()) {
      party.stop();
      this.#silent.push({ ...named(party), code: "NO_ANSWER" });
      party.cancel();
    }
    if (this.#answers.length > 0) this.#resolve({ answers: this.#answers, silent: this.#silent });
    else this.#reject(new UsercastError("NO_ANSWER", `Nobody answered: ${this.#silent.map(described).join(", ")}.`));
  }

  fail(error: UsercastError): void {
    this.#isOver = true;
    for (const party of this.#waiting.values()) party.stop();
    this.#reject(error);
  }
}

/** What came back through the acknowledgement of a client without the SDK; nothing when it is gone. */
export const readPlain = (answer: readonly unknown[] | undefined): Read =>
  answer === undefined ? { code: "NO_ANSWER" } : { data: answer[0] ?? null };

/** What came back from an SDK. */
export function readAnswer(answer: unknown): Read {
  if (!isRecord(answer)) return { code: "NO_ANSWER" };
  if (answer["ok"] === true) return { data: answer["data"] ?? null };
  return { code: readCode(isRecord(answer["error"]) ? answer["error"]["code"] : undefined) };
}

/** A code that somebody else wrote. */
export const readCode = (code: unknown): ErrorCode => (isErrorCode(code) ? code : "INTERNAL");

const named = ({ device, session, socketId }: Asked): Asked =>
  session === undefined ? { device, socketId } : { device, session, socketId };

const described = ({ device, socketId, code }: Silence): string => `${device} (${socketId}): ${code}`;
