/** How much a connection may be pushed beyond what it has confirmed. */
export interface WindowLimits {
  readonly windowMessages: number;
  readonly windowBytes: number;
}

/** Of connections that have nothing to confirm: idle ones keep no list of their own. It stays empty. */
const NOTHING: number[] = [];

/** What was pushed to one connection and is not confirmed. A slow reader costs this much; the rest waits in the log. */
export class Window {
  readonly #limits: WindowLimits;
  /** Offset and size of each in turns, oldest first: plain numbers, because every delivery adds two. */
  #pushed = NOTHING;
  /** How much of the list is confirmed. */
  #settled = 0;
  #bytes = 0;
  /** Without a way to ask for confirmations nothing is held against the client. */
  #isOpen = false;

  constructor(limits: WindowLimits) {
    this.#limits = limits;
  }

  /** Room for so many messages more. */
  get room(): number {
    return this.#isOpen ? Number.POSITIVE_INFINITY : this.#limits.windowMessages - this.#count;
  }

  /** Whether a message of this size may be pushed. One is always allowed, whatever its size. */
  hasRoomFor(bytes: number): boolean {
    return this.#isOpen || this.#count === 0 || (this.room > 0 && this.#bytes + bytes <= this.#limits.windowBytes);
  }

  push(offset: number, bytes: number): void {
    if (this.#isOpen) return;
    if (this.#pushed === NOTHING) this.#pushed = [offset, bytes];
    else this.#pushed.push(offset, bytes);
    this.#bytes += bytes;
  }

  /** Everything up to `offset` has arrived. */
  confirm(through: number): void {
    const pushed = this.#pushed;
    let settled = this.#settled;
    for (; (pushed[settled] ?? Number.POSITIVE_INFINITY) <= through; settled += 2) this.#bytes -= pushed[settled + 1] ?? 0;
    if (settled === pushed.length) {
      this.#pushed = NOTHING;
      settled = 0;
    } else if (settled * 2 > pushed.length) {
      pushed.splice(0, settled);
      settled = 0;
    }
    this.#settled = settled;
  }

  /** Bounds nothing any more. */
  open(): void {
    this.#isOpen = true;
    this.#pushed = NOTHING;
    this.#settled = 0;
    this.#bytes = 0;
  }

  get #count(): number {
    return (this.#pushed.length - this.#settled) / 2;
  }
}
