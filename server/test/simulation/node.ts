import type { Draft } from "../../src/ports.ts";
import type { Core } from "./core.ts";
import { FlakyBroker, StoreFails, type Weather } from "./flaky-broker.ts";
import type { Random } from "./random.ts";
import type { Bounds, Followed, RunRecord } from "./record.ts";
import type { Store } from "./store.ts";
import { MortalClock, type VirtualClock } from "./virtual-clock.ts";
import type { Visit } from "./visit.ts";

/** Everything a run consists of that its parts share. */
export interface Run {
  readonly core: Core;
  readonly bounds: Bounds;
  readonly clock: VirtualClock;
  readonly random: Random;
  readonly weather: Weather;
  readonly record: RunRecord;
  readonly store: Store;
  /** Whether there is one node only. */
  readonly isAlone: boolean;
  /** Text, size and time to live of message `n`. */
  readonly content: (n: number) => Pick<Draft, "text" | "bytes" | "ttlMs">;
  /** The bytes that message `n` was declared to have. */
  readonly bytesOf: (n: number) => number;
  /** Counts what happens, to tell what came first. */
  readonly step: () => number;
  /** Notes what must never be seen. */
  readonly wrong: (what: string) => void;
}

/** One server process: a real `Delivery` with its way to the store, and the connections it has. */
export class Node {
  readonly clock: MortalClock;
  readonly broker: FlakyBroker;
  readonly delivery: InstanceType<Core["Delivery"]>;
  readonly receipts: InstanceType<Core["Receipts"]>;
  readonly #followed: Followed[] = [];
  readonly visits = new Set<Visit>();
  readonly run: Run;
  /** What was announced of each user, in turn. */
  readonly presence = new Map<string, string>();
  isDead = false;

  constructor(run: Run) {
    this.run = run;
    const { bounds, record, step } = run;
    this.clock = new MortalClock(run.clock);
    const { weather, random, isAlone } = run;
    const onFailure = (): unknown => record.failures.push(step());
    this.broker = new FlakyBroker(run.store, { weather, random, scope: isAlone ? "process" : "cluster", onFailure });
    const onError = (error: unknown): void => {
      if (!(error instanceof StoreFails || (error as Error).cause instanceof StoreFails)) run.wrong(`an error: ${String(error)}`);
    };
    this.receipts = new run.core.Receipts({ broker: this.broker, maxPending: 100, onError });
    this.delivery = new run.core.Delivery({
      broker: this.broker,
      clock: this.clock,
      pushes: new run.core.PushLog(64),
      turns: new run.core.Turns(4),
      windowMessages: bounds.windowMessages,
      windowBytes: bounds.windowBytes,
      maxPayloadBytes: 1_000,
      pageMessages: 3,
      pingIntervalMs: 1_000,
      presence: new run.core.LocalPresence({
        clock: this.clock,
        leaseMs: 15_000,
        graceMs: 5_000,
        maxLastSeen: 100,
        maxConnections: 64,
        takeover: "oldest",
        onEvent: (event, userId) => {
          if ((this.presence.get(userId) ?? "offline") === event) run.wrong(`${userId} is ${event} twice`);
          this.presence.set(userId, event);
        },
        onError,
      }),
      cursorIntervalMs: 200,
      maxWaitingCursors: 100,
      owedMs: 10 ** 12,
      inheritedMs: 60_000,
      onControl: () => {},
      onEvicted: () => {},
      onConnection: () => {},
      onMissed: () => {},
      onError,
    });
  }

  /** Follows a message until it is delivered. */
  follow(message: Pick<Followed, "n" | "user" | "epoch" | "offset">, devices: Draft["devices"]): void {
    const followed: Followed = { ...message, toldAt: undefined, isOver: false };
    this.#followed.push(followed);
    this.run.record.followed.push(followed);
    void this.receipts.follow({
      recipient: message.user,
      epoch: message.epoch,
      offset: message.offset,
      ...(devices && { devices }),
      until: "delivered",
      onPassage: () => {
        if (followed.toldAt !== undefined) this.run.wrong(`${message.n} was told as delivered twice`);
        followed.toldAt = this.run.step();
      },
      onEnd: () => {
        followed.isOver = true;
      },
    });
  }

  /** `kill -9`: everything in its memory is gone, and what it wrote last may arrive or not. */
  crash(): void {
    this.isDead = true;
    for (const followed of this.#followed) followed.isOver = true;
    this.run.record.crashes.push(this.run.step());
    this.broker.kill();
    this.clock.kill();
    for (const visit of [...this.visits]) visit.lost(this.run.random(4));
  }
}
