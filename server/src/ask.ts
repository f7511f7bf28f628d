import { randomUUID } from "node:crypto";
import { EVENTS, parseTimeout, parseUserId, UsercastError } from "@usercast/protocol";
import type { Connection } from "./connection.ts";
import { decodeArguments, encodeMessage } from "./encode.ts";
import { ForeignQuestions } from "./foreign-questions.ts";
import type { Hub } from "./hub.ts";
import type { CancelTimer, Clock, DeviceFilter, Encoded, PlacedConnection, Presence } from "./ports.ts";
import { type Answers, type Party, Question, type Read, readAnswer, readCode, readPlain } from "./question.ts";
import { isFor } from "./resume.ts";
import type { Switchboard } from "./switchboard.ts";

/**
 * Whose answer is wanted: `first`, whichever comes first; `newest`, that of the connection that was made last; `all`, every
 * connection's.
 */
export type AskMode = "first" | "newest" | "all";

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
  readonly presence: Presence;
  readonly switchboard: Switchboard;
  readonly clock: Clock;
  readonly maxPayloadBytes: number;
  /** Questions that wait for answers at once; as many again are put for other nodes. */
  readonly maxPendingQuestions: number;
  /** Milliseconds after which a node that is silent may be dead. */
  readonly leaseMs: number;
}

const DEFAULT_TIMEOUT_MS = 10_000;

/** A question as it is put. */
interface Put {
  readonly id: string;
  readonly userId: string;
  readonly encoded: Encoded;
  readonly timeoutMs: number;
}

/** Whom a question is put to, here and at other nodes. */
interface Round {
  readonly here: readonly Connection[];
  readonly elsewhere: readonly PlacedConnection[];
}

/** Questions to users that wait for their answers. */
export class Questions {
  readonly #options: QuestionsOptions;
  readonly #pending = new Set<Question>();
  readonly #foreign: ForeignQuestions;
  #isClosed = false;

  constructor(options: QuestionsOptions) {
    this.#options = options;
    this.#foreign = new ForeignQuestions(options, putTo);
  }

  /**
   * Asks the connections of one user.
   * @throws UsercastError `USER_OFFLINE` at once, `NO_ANSWER`, `INVALID_TIMEOUT`, `OVERLOADED`, `SERVER_CLOSED`, `UNAVAILABLE`, or what
   * `encodeMessage` says of event and data
   */
  async ask({ user, event, data, mode, timeout = DEFAULT_TIMEOUT_MS, devices }: AskRequest): Promise<Answers> {
    const { clock, maxPayloadBytes, maxPendingQuestions } = this.#options;
    const userId = parseUserId(user);
    const timeoutMs = parseTimeout(timeout);
    const encoded = encodeMessage(event, data, maxPayloadBytes);
    if (mode !== "first" && mode !== "newest" && mode !== "all")
      throw new UsercastError("INVALID_REQUEST", "mode is first, newest or all.");
    const round = await this.#roundOf(userId, devices, mode === "newest");
    if (this.#isClosed) throw new UsercastError("SERVER_CLOSED");
    if (round.here.length + round.elsewhere.length === 0) throw new UsercastError("USER_OFFLINE");
    if (this.#pending.size >= maxPendingQuestions)
      throw new UsercastError("OVERLOADED", "Too many questions wait for their answers.");
    const put: Put = { id: randomUUID(), userId, encoded, timeoutMs };
    const parties = new Map<string, Stoppable>();
    const cancelElsewhere = once(() => this.#options.switchboard.tell(userId, "cancel", { question: put.id }));
    for (const { socketId, device, session } of round.elsewhere) {
      parties.set(socketId, new Stoppable({ socketId, device, ...(session !== undefined && { session }) }, cancelElsewhere));
    }
    for (const connection of round.here) {
      const cancel = (): void => void connection.control(EVENTS.cancelled, { id: put.id });
      parties.set(connection.info.socketId, new Stoppable(connection.info, cancel));
    }
    const question = new Question([...parties.values()], mode === "all");
    this.#pending.add(question);
    const cancel = clock.after(timeoutMs, () => question.finish());
    let hangUp = (): void => {};
    try {
      for (const connection of round.here) {
        const { socketId } = connection.info;
        const stop = putTo(connection, put, (read) => question.answered(socketId, read));
        parties.get(socketId)?.stopWith(stop);
      }
      if (round.elsewhere.length > 0) hangUp = await this.#putElsewhere(put, round.elsewhere, question);
      return await question.over;
    } finally {
      cancel();
      hangUp();
      this.#pending.delete(question);
    }
  }

  /** Ends every question with `SERVER_CLOSED`. */
  close(): void {
    this.#isClosed = true;
    for (const question of this.#pending) question.fail(new UsercastError("SERVER_CLOSED"));
    this.#foreign.close();
  }

  async #roundOf(userId: string, devices: DeviceFilter | undefined, isNewest: boolean): Promise<Round> {
    const { hub, presence, switchboard } = this.#options;
    const isMeant = ({ device }: { readonly device: string }) => isFor(devices === undefined ? {} : { devices }, device);
    const askable = () => (hub.get(userId)?.all ?? []).filter((one) => one.askable && isMeant(one.info));
    if (switchboard.isAlone) return { here: isNewest ? askable().slice(-1) : askable(), elsewhere: [] };
    const [found] = await presence.find([userId]).catch((error: unknown) => {
      throw UsercastError.from(error, "UNAVAILABLE");
    });
    const here = askable();
    const elsewhere = (found?.connections ?? []).filter((one) => isMeant(one) && one.node !== presence.node);
    if (!isNewest) return { here, elsewhere };
    const order = new Map(found?.connections.map(({ socketId }, place) => [socketId, place]));
    // One that the store does not know yet has come just now.
    const placeOf = (socketId: string | undefined): number => (socketId === undefined ? -1 : (order.get(socketId) ?? order.size));
    const [last, other] = [here.at(-1), elsewhere.at(-1)];
    const isHere = placeOf(last?.info.socketId) > placeOf(other?.socketId);
    return isHere ? { here: here.slice(-1), elsewhere: [] } : { here: [], elsewhere: elsewhere.slice(-1) };
  }

  /** Puts a question to connections of other nodes. Who is gone, with its node perhaps, is not waited for. */
  async #putElsewhere(put: Put, connections: readonly PlacedConnection[], question: Question): Promise<() => void> {
    const { switchboard, presence, clock, leaseMs } = this.#options;
    const { id, userId, encoded, timeoutMs } = put;
    const sockets = connections.map(({ socketId, node }) => [socketId, node]);
    const hangUp = await switchboard.call({
      userId,
      kind: "ask",
      fields: { question: id, sockets, timeoutMs },
      body: encoded,
      onReply: ({ socketId, code }, body) => {
        const read: Read = body === undefined ? { code: readCode(code) } : { data: answerIn(body) };
        question.answered(String(socketId), read);
      },
    });
    let isOver = false;
    let cancel: CancelTimer = () => {};
    const look = async (): Promise<void> => {
      const [found] = await presence.find([userId]).catch(() => [undefined]);
      const there = new Set(found?.connections.map(({ socketId }) => socketId));
      for (const { socketId } of found === undefined ? [] : connections) {
        if (!there.has(socketId)) question.answered(socketId, { code: "NO_ANSWER" });
      }
      watch();
    };
    const watch = (): void => {
      if (!isOver) cancel = clock.after(leaseMs, () => void look());
    };
    watch();
    return () => {
      isOver = true;
      cancel();
      hangUp();
    };
  }
}

/** A connection that is asked, and what ends the wait for it. */
class Stoppable implements Party {
  readonly device: string;
  readonly session?: string;
  readonly socketId: string;
  readonly cancel: () => void;
  #stop = (): void => {};

  constructor({ device, session, socketId }: Pick<Party, "device" | "session" | "socketId">, cancel: () => void) {
    this.device = device;
    if (session !== undefined) this.session = session;
    this.socketId = socketId;
    this.cancel = cancel;
  }

  stopWith(stop: () => void): void {
    this.#stop = stop;
  }

  stop(): void {
    this.#stop();
  }
}

/** Puts a question to a connection of this node. Plain clients are asked as any Socket.IO client is. */
function putTo(
  connection: Connection,
  { id, encoded, timeoutMs }: Pick<Put, "id" | "encoded" | "timeoutMs">,
  answered: (read: Read) => void,
): () => void {
  const { plain, info } = connection;
  const [event, data] = decodeArguments(encoded);
  const [name, args] = plain ? [String(event), [data]] : [EVENTS.question, [info.secret, { id, timeoutMs }, event, data]];
  return connection.ask(name, args, (answer) => answered(plain ? readPlain(answer) : readAnswer(answer?.[0])));
}

/** An answer that came from another node, as it would have come from a client of this one: binary parts are buffers. */
function answerIn({ attachments, ...body }: Encoded): unknown {
  const buffers = attachments?.map((part) => Buffer.from(part.buffer, part.byteOffset, part.byteLength));
  return decodeArguments({ ...body, ...(buffers && { attachments: buffers }) })[1] ?? null;
}

function once(task: () => void): () => void {
  let isDone = false;
  return () => {
    if (!isDone) task();
    isDone = true;
  };
}
