import type { Broker, CancelTimer, Clock } from "./ports.ts";

interface Move {
  readonly epoch: string;
  readonly delivered: number;
}

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

/** Gathers moves of device cursors and writes each at most once per interval, and at disconnect. */
export class CursorWriter {
  readonly #options: CursorWriterOptions;
  /** By user, then by device. */
  readonly #waiting = new Map<string, Map<string, Move>>();
  /** Writes under way, by user. */
  readonly #writing = new Map<string, Promise<void>>();
  #timer: CancelTimer | undefined;

  constructor(options: CursorWriterOptions) {
    this.#options = options;
  }

  /** Notes that `device` has confirmed everything up to `delivered`. */
  moved(userId: string, device: string, epoch: string, delivered: number): void {
    let devices = this.#waiting.get(userId);
    if (devices === undefined) {
      if (this.#waiting.size >= this.#options.maxWaiting) this.#forgetOldest();
      devices = new Map();
      this.#waiting.set(userId, devices);
    }
    const known = devices.get(device);
    if (known === undefined || known.epoch !== epoch || known.delivered < delivered) devices.set(device, { epoch, delivered });
    this.#timer ??= this.#options.clock.after(this.#options.intervalMs, () => {
      this.#timer = undefined;
      void this.flushAll();
    });
  }

  /** Resolves when everything noted so far of this user is written, or its failure reported. */
  flush(userId: string): Promise<void> {
    const before = this.#writing.get(userId);
    const devices = this.#waiting.get(userId);
    if (devices === undefined) return before ?? Promise.resolve();
    this.#waiting.delete(userId);
    const write = (before ?? Promise.resolve())
      .then(() => this.#write(userId, devices))
      .finally(() => {
        if (this.#writing.get(userId) === write) this.#writing.delete(userId);
      });
    this.#writing.set(userId, write);
    return write;
  }

  /** Resolves when everything noted so far is written, or its failure reported. */
  async flushAll(): Promise<void> {
    await Promise.all([...this.#waiting.keys()].map((userId) => this.flush(userId)));
    await Promise.all(this.#writing.values());
  }

  /** Writes what waits and stops the timer. */
  async close(): Promise<void> {
    await this.flushAll();
    this.#timer?.();
    this.#timer = undefined;
  }

  async #write(userId: string, devices: ReadonlyMap<string, Move>): Promise<void> {
    const { broker, onError } = this.#options;
    const writes = [...devices].map(async ([device, { epoch, delivered }]) => {
      try {
        await broker.advance(userId, device, epoch, { delivered });
      } catch (error) {
        onError(error);
        // Waits for the next interval, unless something of a newer life already does.
        const newer = this.#waiting.get(userId)?.get(device);
        if (newer === undefined || newer.epoch === epoch) this.moved(userId, device, epoch, delivered);
      }
    });
    await Promise.all(writes);
  }

  #forgetOldest(): void {
    const [oldest] = this.#waiting.keys();
    if (oldest !== undefined) this.#waiting.delete(oldest);
  }
}
