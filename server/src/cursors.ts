import { named, together as passedTogether } from "./passed.ts";
import type { Broker, CancelTimer, Clock, CursorMove, DeviceMove } from "./ports.ts";
import type { SharedMove } from "./sharing.ts";

/** How a `CursorWriter` works. */
export interface CursorWriterOptions {
  readonly broker: Broker;
  readonly clock: Clock;
  /** Milliseconds between two writes of one cursor, at least. */
  readonly intervalMs: number;
  /** Cursors that may wait while the store fails; beyond it the oldest is forgotten, and its messages come again. */
  readonly maxWaiting: number;
  readonly onError: (error: unknown) => void;
}

/** The longest wait between two tries of a store that fails. */
const MAX_WAIT_MS = 30_000;
const MAX_DOUBLINGS = 16;
/** Cursors in one write: a store writes on the thread that also serves connections. */
const WRITTEN_AT_ONCE = 256;

const furthest = (a: number | undefined, b: number | undefined): number => Math.max(a ?? 0, b ?? 0);

/** Of two messages that were given, the one that tells more. */
function newest(first: CursorMove["witness"], second: CursorMove["witness"]): Pick<CursorMove, "witness"> {
  const witness = (first?.offset ?? 0) > (second?.offset ?? 0) ? first : second;
  return witness === undefined ? {} : { witness };
}

/** Of connections that came and went while the store failed, those remembered: as many as may be there at once by default, and again. */
const MAX_TURNS = 128;

/** What was said of a shared device, as one: whoever was said to come or go last, did. */
function bothShared(first: SharedMove | undefined, second: SharedMove | undefined): SharedMove | undefined {
  if (first === undefined || second === undefined) return first ?? second;
  const [earlier, later] = first.number < second.number ? [first, second] : [second, first];
  const turns = [...(earlier.turns ?? []), ...(later.turns ?? [])].slice(-MAX_TURNS);
  return { ...later, ...(turns.length > 0 && { turns }) };
}

/** Two moves of one cursor as one. What was read in either without being shown is not shown. */
function together(first: CursorMove, second: CursorMove): CursorMove {
  const shared = bothShared(first.shared, second.shared);
  const reads = first.read !== undefined || second.read !== undefined;
  const delivers = first.delivered !== undefined || second.delivered !== undefined;
  return {
    ...(delivers && { delivered: furthest(first.delivered, second.delivered) }),
    ...named(passedTogether(first, second)),
    ...newest(first.witness, second.witness),
    ...(shared && { shared }),
    ...(reads && { read: furthest(first.read, second.read), unshown: first.unshown === true || second.unshown === true }),
    transient: first.transient === true && second.transient === true,
  };
}

/** Whether `next` says all that `move` does, as nearly every confirmation does of the one before. */
const replaces = (next: CursorMove, move: CursorMove): boolean =>
  (next.delivered ?? -1) >= (move.delivered ?? -1) &&
  (next.witness?.offset ?? 0) >= (move.witness?.offset ?? 0) &&
  (next.shared?.number ?? 0) >= (move.shared?.number ?? 0) &&
  (move.read ?? move.began ?? move.missed ?? move.skipped ?? move.shared?.turns) === undefined &&
  next.transient === move.transient;

/** Of the devices of one user, one each. Nearly all have one or two, for which a list is smaller than a map. */
type Devices = DeviceMove[];

const moveOf = (devices: Devices | undefined, device: string): DeviceMove | undefined =>
  devices?.find((one) => one.device === device);

/** Writes under way of several users. */
interface Round {
  readonly users: ReadonlyMap<string, Devices>;
  readonly written: Promise<void>;
}

/** Gathers moves of device cursors and writes each at most once per interval, and at disconnect. */
export class CursorWriter {
  readonly #options: CursorWriterOptions;
  /** By user, then by device. */
  #waiting = new Map<string, Devices>();
  /** Writes of a whole interval under way. */
  readonly #rounds = new Set<Round>();
  /** Writes of one user under way. */
  readonly #writing = new Map<string, Promise<void>>();
  #timer: CancelTimer | undefined;
  /** Whether the last write failed, and how many rounds of writes in a row did. */
  #failing = false;
  #failures = 0;

  constructor(options: CursorWriterOptions) {
    this.#options = options;
  }

  /** Notes that a device has come further. */
  moved(userId: string, device: string, epoch: string, move: CursorMove): void {
    let devices = this.#waiting.get(userId);
    if (devices === undefined) {
      if (this.#waiting.size >= this.#options.maxWaiting) this.#forgetOldest();
      devices = [];
      this.#waiting.set(userId, devices);
    }
    const known = moveOf(devices, device);
    const isMore = known?.epoch === epoch && !replaces(move, known.move);
    const waiting = { userId, device, epoch, move: isMore ? together(known.move, move) : move };
    if (known === undefined) devices.push(waiting);
    else devices[devices.indexOf(known)] = waiting;
    if (this.#timer !== undefined) return;
    // While the store fails, each try waits twice as long as the last.
    const waitMs = Math.min(Math.max(this.#options.intervalMs, 1) * 2 ** this.#failures, MAX_WAIT_MS);
    this.#timer = this.#options.clock.after(Math.max(waitMs, this.#options.intervalMs), () => {
      this.#timer = undefined;
      void this.flushAll().then(() => {
        this.#failures = this.#failing ? Math.min(this.#failures + 1, MAX_DOUBLINGS) : 0;
      });
    });
  }

  /** Resolves when everything noted so far of this user is written, or its failure reported. */
  flush(userId: string): Promise<void> {
    const before = this.#underWay(userId);
    const devices = this.#waiting.get(userId);
    if (devices === undefined) return before ?? Promise.resolve();
    this.#waiting.delete(userId);
    const write = (before ?? Promise.resolve())
      .then(() => this.#write(new Map([[userId, devices]])))
      .finally(() => {
        if (this.#writing.get(userId) === write) this.#writing.delete(userId);
      });
    this.#writing.set(userId, write);
    return write;
  }

  /** Resolves when everything noted so far is written, or its failure reported. */
  async flushAll(): Promise<void> {
    const before = [...this.#writing.values(), ...Array.from(this.#rounds, ({ written }) => written)];
    if (this.#waiting.size > 0) {
      const users = this.#waiting;
      this.#waiting = new Map();
      const round = { users, written: Promise.all(before).then(() => this.#write(users)) };
      this.#rounds.add(round);
      await round.written;
      this.#rounds.delete(round);
    } else await Promise.all(before);
  }

  /** Writes what waits and stops the timer. */
  async close(): Promise<void> {
    await this.flushAll();
    this.#timer?.();
    this.#timer = undefined;
  }

  /** The writes of a user that have not ended. */
  #underWay(userId: string): Promise<void> | undefined {
    let last = this.#writing.get(userId);
    for (const { users, written } of this.#rounds) {
      if (users.has(userId)) last = last === undefined ? written : Promise.all([last, written]).then(() => {});
    }
    return last;
  }

  async #write(users: ReadonlyMap<string, Devices>): Promise<void> {
    const { broker } = this.#options;
    const moves = [...users.values()].flat();
    if (broker.advanceAll !== undefined) {
      for (let i = 0; i < moves.length; i += WRITTEN_AT_ONCE) {
        // Messages have their turn in between.
        if (i > 0) await new Promise((resolve) => setImmediate(resolve));
        const some = moves.slice(i, i + WRITTEN_AT_ONCE);
        await this.#outcome(some, (moves) => broker.advanceAll?.(moves));
      }
    } else {
      const advance = ([one]: readonly DeviceMove[]) => one && broker.advance(one.userId, one.device, one.epoch, one.move);
      await Promise.all(moves.map((one) => this.#outcome([one], advance)));
    }
  }

  async #outcome(
    moves: readonly DeviceMove[],
    write: (moves: readonly DeviceMove[]) => Promise<void> | undefined,
  ): Promise<void> {
    try {
      await write(moves);
      this.#failing = false;
    } catch (error) {
      // Reported once per outage, not for each cursor and try.
      if (!this.#failing) this.#options.onError(error);
      this.#failing = true;
      for (const { userId, device, epoch, move } of moves) {
        // Waits for the next interval, unless something of a newer life already does.
        const newer = moveOf(this.#waiting.get(userId), device);
        if (newer === undefined || newer.epoch === epoch) this.moved(userId, device, epoch, move);
      }
    }
  }

  #forgetOldest(): void {
    const [oldest] = this.#waiting.keys();
    if (oldest !== undefined) this.#waiting.delete(oldest);
  }
}
