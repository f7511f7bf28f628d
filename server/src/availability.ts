import { type Availability, EVENTS } from "@usercast/protocol";
import type { Connection } from "./connection.ts";
import type { Broker, CancelTimer, Clock } from "./ports.ts";

/** Connections that are told in one turn of the loop. */
const TOLD_PER_TURN = 256;
/** Until those are tried again that had no room for it. */
const AGAIN_MS = 1_000;

/** How `AvailabilityNotices` work. */
export interface AvailabilityOptions {
  readonly broker: Broker;
  readonly clock: Clock;
  /** Every connection of this node. */
  readonly connections: () => Iterable<Connection>;
  readonly onChanged: (availability: Availability) => void;
}

/**
 * Tells the clients of this node that its store cannot be reached, and that it can again: also those who say nothing themselves. Who was not
 * told the one is not told the other; a state that is over by the time somebody's turn comes is not told at all.
 */
export class AvailabilityNotices {
  readonly #options: AvailabilityOptions;
  #isAvailable = true;
  /** Those whose client believes that the store is away. */
  readonly #told = new WeakSet<Connection>();
  readonly #end: (() => void) | undefined;
  #isTelling = false;
  #isClosed = false;
  #again: CancelTimer | undefined;

  constructor(options: AvailabilityOptions) {
    this.#options = options;
    this.#end = options.broker.onAvailability?.((available) => {
      this.#isAvailable = available;
      options.onChanged({ available });
      if (!this.#isTelling) void this.#tellAll();
    });
  }

  close(): void {
    this.#isClosed = true;
    this.#end?.();
    this.#again?.();
  }

  async #tellAll(): Promise<void> {
    this.#isTelling = true;
    this.#again?.();
    let isComplete = false;
    for (let told: boolean | undefined; told !== this.#isAvailable; ) {
      told = this.#isAvailable;
      isComplete = await this.#tellEach();
      if (this.#isClosed) return;
    }
    this.#isTelling = false;
    if (!isComplete) this.#again = this.#options.clock.after(AGAIN_MS, () => void this.#tellAll());
  }

  /** False where some had no room for it. Who comes meanwhile begins with a store that can be reached. */
  async #tellEach(): Promise<boolean> {
    let isComplete = true;
    let left = TOLD_PER_TURN;
    for (const connection of [...this.#options.connections()]) {
      if (this.#told.has(connection) !== this.#isAvailable) continue;
      if (!this.#tell(connection)) isComplete = false;
      left -= 1;
      if (left > 0) continue;
      await new Promise((resolve) => setImmediate(resolve));
      left = TOLD_PER_TURN;
      if (this.#isClosed) break;
    }
    return isComplete;
  }

  /** False where there is no room for it now. */
  #tell(connection: Connection): boolean {
    const available = this.#isAvailable;
    if (!connection.control(EVENTS.availability, { available } satisfies Availability)) return false;
    if (available) this.#told.delete(connection);
    else this.#told.add(connection);
    return true;
  }
}
