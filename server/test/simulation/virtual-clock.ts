interface Timer {
  readonly dueAt: number;
  /** Of two that are due at once, the older runs first. */
  readonly order: number;
  readonly task: () => void;
  isCancelled: boolean;
}

const isBefore = (a: Timer, b: Timer): boolean => a.dueAt < b.dueAt || (a.dueAt === b.dueAt && a.order < b.order);

/** Time that moves only when the run moves it. Timers wait in a heap: thousands of runs set a great many. */
export class VirtualClock {
  #now = 1_790_000_000_000;
  #made = 0;
  readonly #heap: Timer[] = [];

  now(): number {
    return this.#now;
  }

  after(ms: number, task: () => void): () => void {
    this.#made += 1;
    const timer: Timer = { dueAt: this.#now + Math.max(ms, 0), order: this.#made, task, isCancelled: false };
    this.#rise(timer);
    return () => {
      timer.isCancelled = true;
    };
  }

  /** Lets `ms` milliseconds pass and runs what comes due on the way, in order. */
  advance(ms: number): void {
    const end = this.#now + ms;
    for (let next = this.#heap[0]; next !== undefined && next.dueAt <= end; next = this.#heap[0]) {
      this.#dropFirst();
      if (next.isCancelled) continue;
      this.#now = next.dueAt;
      next.task();
    }
    this.#now = end;
  }

  #rise(timer: Timer): void {
    const heap = this.#heap;
    let place = heap.length;
    while (place > 0) {
      const above = (place - 1) >>> 1;
      const parent = heap[above];
      if (parent === undefined || !isBefore(timer, parent)) break;
      heap[place] = parent;
      place = above;
    }
    heap[place] = timer;
  }

  #dropFirst(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let place = 0;
    for (;;) {
      const left = 2 * place + 1;
      const [one, other] = [heap[left], heap[left + 1]];
      if (one === undefined) break;
      const [below, child] = other !== undefined && isBefore(other, one) ? [left + 1, other] : [left, one];
      if (!isBefore(child, last)) break;
      heap[place] = child;
      place = below;
    }
    heap[place] = last;
  }
}

/** The clock of one process or page: when that ends, its timers end with it, and nothing runs any more. */
export class MortalClock {
  readonly #clock: VirtualClock;
  readonly #timers = new Set<() => void>();
  #isDead = false;

  constructor(clock: VirtualClock) {
    this.#clock = clock;
  }

  /** Timers that wait: zero after everything was closed. */
  get timers(): number {
    return this.#timers.size;
  }

  now(): number {
    return this.#clock.now();
  }

  wall(): number {
    return this.#clock.now();
  }

  after(ms: number, task: () => void): () => void {
    if (this.#isDead) return () => {};
    const cancel = this.#clock.after(ms, () => {
      this.#timers.delete(end);
      task();
    });
    const end = (): void => {
      this.#timers.delete(end);
      cancel();
    };
    this.#timers.add(end);
    return end;
  }

  kill(): void {
    this.#isDead = true;
    for (const end of [...this.#timers]) end();
  }
}
