import type { CancelTimer, Clock } from "./clock.ts";

/**
 * Tells the server how far this connection has come: gathered over a short time, and at once when half the server's
 * window waits for it, so that the stream never stands still because of us.
 */
export class Confirmations {
  readonly #clock: Clock;
  readonly #intervalMs: number;
  readonly #send: (offset: number, answered?: () => void) => void;
  #told = 0;
  #pending = 0;
  #halfWindow = 1;
  #open = false;
  #timer: CancelTimer | undefined;

  constructor(clock: Clock, intervalMs: number, send: (offset: number, answered?: () => void) => void) {
    this.#clock = clock;
    this.#intervalMs = intervalMs;
    this.#send = send;
  }

  /** A connection begins behind `offset`. Confirmations are per connection: what the last one was told counts no more. */
  begin(offset: number, windowMessages: number): void {
    this.end();
    this.#told = this.#pending = offset;
    this.#halfWindow = Math.max(1, Math.floor(windowMessages / 2));
    this.#open = true;
  }

  /** Everything up to `offset` has settled, and was sent on this connection. */
  reach(offset: number): void {
    if (!this.#open || offset <= this.#pending) return;
    this.#pending = offset;
    // Offsets may have holes, so this counts at least as many messages as there are.
    if (offset - this.#told >= this.#halfWindow) this.flush();
    else this.#timer ??= this.#clock.after(this.#intervalMs, () => this.flush());
  }

  /** Tells now what waits, and answers whether there was anything; `answered` is called when the server has heard it. */
  flush(answered?: () => void): boolean {
    this.#timer?.();
    this.#timer = undefined;
    if (!this.#open || this.#pending <= this.#told) return false;
    this.#told = this.#pending;
    this.#send(this.#told, answered);
    return true;
  }

  /** The connection is gone, and what was not told with it: the next one begins at what has settled. */
  end(): void {
    this.#timer?.();
    this.#timer = undefined;
    this.#open = false;
  }
}
