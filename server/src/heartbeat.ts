import type { CancelTimer, Clock } from "./ports.ts";
import type { WindowLimits } from "./window.ts";

/** How heartbeats are asked for. */
export interface HeartbeatOptions extends WindowLimits {
  readonly clock: Clock;
  /** Milliseconds that confirmations of plain clients are gathered for one ping. */
  readonly pingIntervalMs: number;
}

/** For plain clients a heartbeat is the confirmation: decides when to ask for one, which is once a second, and at once at half a window. */
export class HeartbeatRequests {
  readonly #options: HeartbeatOptions;
  readonly #ask: () => void;
  #timer: CancelTimer | undefined;
  /** What the newest ping covers, and what was pushed since. */
  #asked = 0;
  #newBytes = 0;

  /** `ask` is called when it is time; a ping that leaves, whoever sends it, is to be told by `left`. */
  constructor(options: HeartbeatOptions, ask: () => void) {
    this.#options = options;
    this.#ask = ask;
  }

  /** A message was pushed. */
  pushed(offset: number, bytes: number): void {
    const { windowMessages, windowBytes, pingIntervalMs, clock } = this.#options;
    this.#newBytes += bytes;
    if (offset - this.#asked >= windowMessages / 2 || this.#newBytes >= windowBytes / 2) this.#due(offset);
    else this.#timer ??= clock.after(pingIntervalMs, () => this.#due(offset));
  }

  /** A ping leaves that covers everything up to `offset`, which is returned. */
  left(offset: number): number {
    this.#asked = offset;
    this.#newBytes = 0;
    return offset;
  }

  stop(): void {
    this.#timer?.();
    this.#timer = undefined;
  }

  #due(offset: number): void {
    this.stop();
    if (this.#asked < offset) this.#ask();
  }
}
