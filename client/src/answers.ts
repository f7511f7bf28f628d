import { type ErrorCode, type Question, type QuestionAnswer, UsercastError } from "@usercast/protocol";
import { forgetOldest } from "./bounded.ts";
import type { Clock } from "./clock.ts";
import type { Lifecycle } from "./lifecycle.ts";
import { snapshot } from "./snapshot.ts";

/** What accompanies a question. */
export interface QuestionInfo {
  /** Aborts when the answer is no longer wanted: somebody else has answered, the time is up, or the connection is gone. */
  readonly signal: AbortSignal;
  /** Milliseconds within which an answer counts. */
  readonly timeoutMs: number;
}

/** Answers questions: what it returns, or what that resolves to, is the answer. */
export type AnswerHandler<Data = unknown, Answer = unknown> = (data: Data, info: QuestionInfo) => Answer | PromiseLike<Answer>;

/** Gives the answer to a question to the server. MUST be called at most once. */
export type Acknowledge = (answer: QuestionAnswer) => void;

/** What `Answers` need. */
export interface AnswersParts {
  readonly clock: Clock;
  readonly lifecycle: Pick<Lifecycle, "tell">;
  /** Questions that are being answered at once, and answered ones that are remembered. */
  readonly maxQuestions: number;
}

const refusal = (code: ErrorCode): QuestionAnswer => ({ ok: false, error: new UsercastError(code).toJSON() });

/** Puts the server's questions to the application's handlers, and hands back one answer each: in time, or not at all. */
export class Answers {
  readonly #parts: AnswersParts;
  readonly #handlers = new Map<string, { readonly handler: AnswerHandler }>();
  /** What ends each question that is being answered. */
  readonly #running = new Map<string, () => void>();
  /** The newest questions of this connection: each is put once. */
  readonly #asked = new Set<string>();
  #maxAnswerBytes = 0;

  constructor(parts: AnswersParts) {
    this.#parts = parts;
  }

  /** Sets the handler of an event, in the place of the one before; the answer removes exactly this one. */
  set(event: string, handler: AnswerHandler): () => void {
    const registration = { handler };
    this.#handlers.set(event, registration);
    return () => {
      if (this.#handlers.get(event) === registration) this.#handlers.delete(event);
    };
  }

  /** A connection begins. */
  begin(maxAnswerBytes: number): void {
    this.#maxAnswerBytes = maxAnswerBytes;
  }

  /** The server asks. */
  ask({ id, timeoutMs }: Question, event: string, data: unknown, acknowledge: Acknowledge): void {
    const { clock, lifecycle, maxQuestions } = this.#parts;
    if (this.#running.has(id) || this.#asked.has(id)) return;
    this.#asked.add(id);
    forgetOldest(this.#asked, maxQuestions);
    const registration = this.#handlers.get(event);
    if (registration === undefined) {
      acknowledge(refusal("NO_HANDLER"));
      return;
    }
    if (this.#running.size >= maxQuestions) {
      acknowledge(refusal("OVERLOADED"));
      return;
    }
    const controller = new AbortController();
    const endsAt = clock.now() + timeoutMs;
    // Without an answer it is no longer wanted.
    const settle = (answer?: QuestionAnswer): void => {
      // Another connection may have put the same question again.
      if (this.#running.get(id) !== settle) return;
      cancel();
      this.#running.delete(id);
      // The timer can be late, an answer must not be.
      if (answer === undefined || clock.now() >= endsAt) controller.abort();
      else acknowledge(answer);
    };
    const cancel = clock.after(timeoutMs, () => settle());
    this.#running.set(id, settle);
    const failed = (cause: unknown): void => {
      // A handler that gives up because nobody wants its answer has not failed.
      if (controller.signal.aborted) return;
      const error = new UsercastError("HANDLER_FAILED", `The handler of "${event}" failed.`, { cause });
      lifecycle.tell("error", error);
      settle(refusal("HANDLER_FAILED"));
    };
    const answered = (answer: unknown): void => {
      const { data, bytes } = snapshot(answer);
      // A server closes a connection that brings too much.
      if (bytes > this.#maxAnswerBytes) throw new UsercastError("PAYLOAD_TOO_LARGE");
      settle({ ok: true, data });
    };
    // Async, so that what it throws is a rejection too.
    void (async () => registration.handler(data, { signal: controller.signal, timeoutMs }))().then(answered).catch(failed);
  }

  /** The answer to a question is no longer wanted. */
  cancelled(id: string): void {
    this.#running.get(id)?.();
  }

  /** The connection is gone, and nobody waits for answers any more. */
  end(): void {
    this.#asked.clear();
    for (const settle of this.#running.values()) settle();
  }
}
