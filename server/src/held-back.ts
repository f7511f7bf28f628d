import type { UserConnections } from "./hub.ts";
import type { CancelTimer, Clock, CursorMove } from "./ports.ts";

/** How long others may hold a cursor back. */
interface HeldBackOptions {
  readonly clock: Clock;
  readonly inheritedMs: number;
  readonly owedMs: number;
}

/**
 * Looks again after users whose plain connections have confirmed more than the cursor they share has come to. What holds it back is given up
 * in time, by the store, and only when somebody says something: without it, receipts would wait for the next message.
 */
export class HeldBack {
  readonly #options: HeldBackOptions;
  readonly #say: (group: UserConnections, epoch: string, move: CursorMove) => void;
  /** Users whose plain connections have moved, until when there may be anything to give up. */
  readonly #groups = new Map<UserConnections, number>();
  #timer: CancelTimer | undefined;

  constructor(options: HeldBackOptions, say: (group: UserConnections, epoch: string, move: CursorMove) => void) {
    this.#options = options;
    this.#say = say;
  }

  /** The plain connections of a user have moved. */
  add(group: UserConnections): void {
    const { clock, inheritedMs, owedMs } = this.#options;
    this.#groups.set(group, clock.now() + owedMs + 2 * inheritedMs);
    this.#timer ??= clock.after(inheritedMs, () => this.#look());
  }

  close(): void {
    this.#timer?.();
    this.#timer = undefined;
    this.#groups.clear();
  }

  #look(): void {
    const { clock, inheritedMs } = this.#options;
    this.#timer = undefined;
    for (const [group, until] of this.#groups) {
      const again = until > clock.now() ? group.again() : undefined;
      if (again === undefined) this.#groups.delete(group);
      else this.#say(group, again.epoch, again.move);
    }
    if (this.#groups.size > 0) this.#timer = clock.after(inheritedMs, () => this.#look());
  }
}
