import { type Position, UsercastError } from "@usercast/protocol";
import type { DeviceMove } from "../../ports.ts";
import type { Retention } from "../retention.ts";
import { isOfThisLog } from "../witness.ts";
import { failureOf } from "./errors.ts";
import { keysOf, type UserKeys } from "./keys.ts";
import type { Line } from "./line.ts";
import { readState, type StoredState, writeDevice, writeMove, writePassed } from "./rows.ts";
import type { Argument, RawAnswer } from "./scripts.ts";

/** Users of one call, at most: it holds the server up while it runs. */
const BATCH_USERS = 64;
/** Tries of a cursor that others move at the same time. */
const MAX_TRIES = 16;

/** How a `Mover` works. */
export interface MoverOptions {
  readonly line: Line;
  readonly prefix: string;
  readonly command: "PUBLISH" | "SPUBLISH";
  /** Whether only users of one slot may share a call. */
  readonly isCluster: boolean;
  readonly retention: Retention;
  /** Milliseconds that cursors are kept. */
  readonly lifeMs: number;
  /** Told where mailboxes stand, as it is read. */
  readonly onState: (keys: UserKeys, head: Position, now: number) => void;
}

interface Waiting extends DeviceMove {
  readonly keys: UserKeys;
  tries: number;
}

/** What is to be written of one move. */
interface Write {
  readonly waiting: Waiting;
  readonly args: readonly Argument[];
}

const listOf = (answer: RawAnswer | undefined): readonly RawAnswer[] => (Array.isArray(answer) ? answer : []);

/** Moves the cursors of devices: reads what is known of their users, and writes what becomes of it unless somebody was faster. */
export class Mover {
  readonly #options: MoverOptions;

  constructor(options: MoverOptions) {
    this.#options = options;
  }

  /**
   * Makes all moves, several users in a call.
   * @throws UsercastError of the first that failed, after all others were tried
   */
  async advanceAll(moves: readonly DeviceMove[]): Promise<void> {
    const { prefix, isCluster } = this.#options;
    const lanes = new Map<string, Waiting[]>();
    for (const move of moves) {
      const keys = keysOf(prefix, move.userId);
      const place = isCluster ? keys.bucket : "";
      const lane = lanes.get(place);
      const waiting = { ...move, keys, tries: 0 };
      if (lane === undefined) lanes.set(place, [waiting]);
      else lane.push(waiting);
    }
    const failures = (await Promise.all(Array.from(lanes.values(), (lane) => this.#work(lane)))).flat();
    if (failures.length > 0) throw failures[0];
  }

  /** What failed of the moves that may share calls. */
  async #work(lane: Waiting[]): Promise<readonly unknown[]> {
    const failures: unknown[] = [];
    try {
      while (lane.length > 0) lane.push(...(await this.#move(takeBatch(lane), failures)));
    } catch (error) {
      // A store that does not answer is not asked for the others.
      failures.push(error);
    }
    return failures;
  }

  /** Those that somebody was faster with. */
  async #move(batch: readonly Waiting[], failures: unknown[]): Promise<readonly Waiting[]> {
    const { line, lifeMs, command } = this.#options;
    const states = await line.run(
      "states",
      batch.flatMap(({ keys }) => [keys.mailbox, keys.devices]),
      [],
    );
    const [now, ...rows] = listOf(states);
    const writes: Write[] = [];
    for (const [i, waiting] of batch.entries()) {
      const row = listOf(rows[i]);
      if (row.length === 1) failures.push(failureOf(String(row[0])));
      else {
        const args = this.#argumentsOf(waiting, readState(row), Number(String(now)));
        if (args !== undefined) writes.push({ waiting, args });
      }
    }
    if (writes.length === 0) return [];
    const keys = writes.flatMap(({ waiting: { keys } }) => [keys.mailbox, keys.devices, keys.log]);
    const answers = listOf(await line.run("advance", keys, [lifeMs, command, ...writes.flatMap(({ args }) => args)]));
    const lost: Waiting[] = [];
    for (const [i, { waiting }] of writes.entries()) {
      const answer = answers[i];
      waiting.tries += 1;
      if (answer === 1) continue;
      if (answer !== 0) failures.push(failureOf(String(answer)));
      else if (waiting.tries < MAX_TRIES) lost.push(waiting);
      else failures.push(new UsercastError("UNAVAILABLE", "The cursor was moved by others too often."));
    }
    return lost;
  }

  /** What `advance.lua` is to be told of a move; nothing where nothing is to be written. */
  #argumentsOf({ keys, device, epoch, move }: Waiting, state: StoredState, now: number): readonly Argument[] | undefined {
    const { head, cursors, moves } = state;
    this.#options.onState(keys, head, now);
    if (head.offset === 0 || head.epoch !== epoch || !isOfThisLog(move, head, () => undefined)) return undefined;
    const before = Array.from(cursors.all, ([name]) => name);
    const moved = cursors.advance(device, move, { head: head.offset, now }, this.#options.retention);
    if (moved === undefined) return undefined;
    const after = new Map(cursors.all);
    const own = after.get(device);
    if (own === undefined) return undefined;
    const { from, to } = moved;
    const isNews = to.delivered > from.delivered || to.read > from.read;
    const told = isNews ? writeMove({ ...moved, epoch }) : "";
    const { delivered, read } = cursors.user;
    const { offset = "", at = "" } = move.witness ?? {};
    const forgotten = before.filter((name) => !after.has(name));
    const user = [delivered, read, writePassed(cursors.user), offset, at];
    return [
      epoch,
      moves,
      keys.channel,
      told,
      ...user,
      device,
      writeDevice(own, Number(moves) + 1),
      forgotten.length,
      ...forgotten,
    ];
  }
}

/** Takes what one call may hold out of what waits: each user once, in order, because a move follows from the one before. */
function takeBatch(waiting: Waiting[]): readonly Waiting[] {
  const batch = new Map<string, Waiting>();
  for (let i = 0; i < waiting.length && batch.size < BATCH_USERS; ) {
    const next = waiting[i] as Waiting;
    if (batch.has(next.userId)) i += 1;
    else {
      batch.set(next.userId, next);
      waiting.splice(i, 1);
    }
  }
  return [...batch.values()];
}
