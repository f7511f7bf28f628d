/** How much a connection may be pushed beyond what it has confirmed. */
export interface WindowLimits {
  readonly windowMessages: number;
  readonly windowBytes: number;
}

/** What was pushed to one connection and is not confirmed. A slow reader costs this much; the rest waits in the log. */
export class Window {
  readonly #limits: WindowLimits;
  /** Offsets and sizes, oldest first. */
  readonly #pushed: { readonly offset: number; readonly bytes: number }[] = [];
  #bytes = 0;
  /** Without a way to ask for confirmations nothing is held against the client. */
  #isOpen = false;

  constructor(limits: WindowLimits) {
    this.#limits = limits;
  }

  /** Room for so many messages more. */
  get room(): number {
    return this.#isOpen ? Number.POSITIVE_INFINITY : this.#limits.windowMessages - this.#pushed.length;
  }

  /** Whether a message of this size may be pushed. One is always allowed, whatever its size. */
  hasRoomFor(bytes: number): boolean {
    return this.#isOpen || this.#pushed.length === 0 || (this.room > 0 && this.#bytes + bytes <= this.#limits.windowBytes);
  }

  push(offset: number, bytes: number): void {
    if (this.#isOpen) return;
    this.#pushed.push({ offset, bytes });
    this.#bytes += bytes;
  }

  /** Everything up to `offset` has arrived. */
  confirm(through: number): void {
    let settled = 0;
    for (const { offset, bytes } of this.#pushed) {
      if (offset > through) break;
      settled += 1;
      this.#bytes -= bytes;
    }
    this.#pushed.splice(0, settled);
  }

  /** Bounds nothing any more. */
  open(): void {
    this.#isOpen = true;
    this.#pushed.length = 0;
    this.#bytes = 0;
  }
}
