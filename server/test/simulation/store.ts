import type { Broker, CursorMove, Draft, PublishResult } from "../../src/ports.ts";
import type { Core } from "./core.ts";
import type { RealStore } from "./real-store.ts";
import type { RunRecord } from "./record.ts";
import { MortalClock, type VirtualClock } from "./virtual-clock.ts";

/** What the store keeps at most. */
export interface StoreLimits {
  readonly maxMailboxMessages: number;
  readonly maxMailboxBytes: number;
}

/** Something that was written, and when. */
type Deed =
  | { readonly type: "publish"; readonly time: number; readonly step: number; readonly draft: Draft }
  | {
      readonly type: "advance";
      readonly time: number;
      readonly step: number;
      readonly user: string;
      readonly device: string;
      readonly epoch: string;
      readonly move: CursorMove;
    }
  | { readonly type: "purge"; readonly time: number; readonly step: number; readonly user: string };

/** How often the store looks for what has expired. */
const SWEEP_MS = 3_000;

/** What a draft says: its only argument is its number. */
const numberOf = (text: string): number => Number(text.slice(text.indexOf(",") + 1));

/**
 * The durable store behind all nodes: it survives each of them. It is the memory broker, which is the specification of
 * the port, with a journal: an older copy of the store is a new broker that was told the beginning of it again.
 */
export class Store {
  readonly #core: Core;
  readonly #clock: VirtualClock;
  readonly #limits: StoreLimits;
  readonly #record: RunRecord;
  readonly #step: () => number;
  readonly #journal: Deed[] = [];
  readonly #purges: { readonly user: string; readonly step: number }[] = [];
  readonly #real: RealStore | undefined;
  #own: MortalClock;
  /** The time of what is told again. */
  #past: number | undefined;
  #broker: Broker;

  constructor(parts: {
    readonly core: Core;
    readonly clock: VirtualClock;
    readonly limits: StoreLimits;
    readonly record: RunRecord;
    readonly step: () => number;
    /** @default the memory broker */
    readonly real: RealStore | undefined;
  }) {
    this.#core = parts.core;
    this.#clock = parts.clock;
    this.#limits = parts.limits;
    this.#record = parts.record;
    this.#step = parts.step;
    this.#real = parts.real;
    this.#own = new MortalClock(this.#clock);
    this.#broker = this.#real?.broker ?? this.#open();
  }

  get broker(): Broker {
    return this.#broker;
  }

  get timers(): number {
    return this.#own.timers;
  }

  async publish(draft: Draft): Promise<PublishResult> {
    const time = this.#clock.now();
    const step = this.#step();
    this.#journal.push({ type: "publish", time, step, draft });
    const [result] = await this.#broker.publish([draft]);
    if (result === undefined) throw new Error("a draft without a result");
    if (result.state === "accepted") this.#note(draft, result, step);
    return result;
  }

  async advance(user: string, device: string, epoch: string, move: CursorMove): Promise<void> {
    const step = this.#step();
    this.#journal.push({ type: "advance", time: this.#clock.now(), step, user, device, epoch, move });
    await this.#broker.advance(user, device, epoch, move);
    const state = await this.#broker.position(user);
    const delivered = state.epoch === epoch ? state.devices.get(device)?.delivered : undefined;
    const stood = delivered === undefined ? undefined : { delivered, head: state.head.offset };
    this.#record.cursors.push({
      ...{ user, device, epoch, asked: move.delivered ?? 0, missed: move.missed ?? [], stood, step },
      endedAt: Number.POSITIVE_INFINITY,
    });
  }

  async purge(user: string): Promise<void> {
    // What was called before must be done before, as in memory.
    await this.#real?.still();
    const step = this.#step();
    this.#journal.push({ type: "purge", time: this.#clock.now(), step, user });
    this.#purges.push({ user, step });
    const { accepted, cursors } = this.#record;
    for (const one of [...accepted, ...cursors]) if (one.user === user) one.endedAt = Math.min(one.endedAt, step);
    await this.#broker.purge(user);
  }

  /**
   * The newest `share` tenths of what was written are lost: an older copy takes the place of the store, which must not be a real one. Nobody
   * may be connected.
   */
  async restore(share: number): Promise<void> {
    const kept = Math.ceil((this.#journal.length * (10 - share)) / 10);
    const [first] = this.#journal.splice(kept);
    if (first === undefined) return;
    const now = this.#step();
    const { accepted, cursors } = this.#record;
    for (const one of [...accepted, ...cursors]) if (one.step >= first.step) one.endedAt = Math.min(one.endedAt, now);
    this.#own.kill();
    await this.#broker.close();
    this.#own = new MortalClock(this.#clock);
    this.#broker = this.#open();
    for (const deed of this.#journal) {
      this.#past = deed.time;
      if (deed.type === "publish") await this.#broker.publish([deed.draft]);
      else if (deed.type === "advance") await this.#broker.advance(deed.user, deed.device, deed.epoch, deed.move);
      else await this.#broker.purge(deed.user);
    }
    this.#past = undefined;
  }

  async close(): Promise<void> {
    await this.#broker.close();
  }

  /** Lets what was begun in this turn of the loop go on. */
  async turn(): Promise<void> {
    await new Promise<void>((resolve) => setImmediate(resolve));
    await this.#real?.still();
  }

  #open(): Broker {
    const own = this.#own;
    return this.#core.memory({
      quiet: true,
      // Always the same bytes, so that a copy knows the same epochs.
      random: (size) => new Uint8Array(size),
      clock: { now: () => this.#past ?? own.now(), after: (ms, task) => own.after(ms, task) },
      sweepIntervalMs: SWEEP_MS,
      ...this.#limits,
    });
  }

  #note(draft: Draft, { epoch, offset, at }: { epoch: string; offset: number; at: number }, step: number): void {
    const n = numberOf(draft.text);
    const { userId: user, bytes, from, devices, key } = draft;
    const { accepted } = this.#record;
    // A retry is answered as its first try was.
    if (accepted.some((one) => one.n === n && one.epoch === epoch && one.offset === offset && one.at === at)) return;
    const expiresAt = at + draft.ttlMs;
    // A purge may have come before the answer.
    const purge = this.#purges.find((one) => one.user === user && one.step > step);
    accepted.push({
      ...{ n, user, epoch, offset, at, expiresAt, bytes, from, key: key?.key, devices, step },
      endedAt: purge?.step ?? Number.POSITIVE_INFINITY,
    });
  }
}
