import type { Position } from "@usercast/protocol";
import type { Line } from "./line.ts";
import { textsOf } from "./rows.ts";
import { type Channel, isOneLog, type Subscriber } from "./subscriber.ts";

/** How a `Watch` works. */
export interface WatchOptions {
  readonly line: Line;
  readonly subscriber: Subscriber;
  readonly isCluster: boolean;
  /** Milliseconds in which every mailbox is looked at once. */
  readonly intervalMs: number;
  /** Mailboxes that are looked at in a second, at most. */
  readonly perSecond: number;
}

const TICK_MS = 1_000;
/** Mailboxes of one call, at most. */
const BATCH = 256;

/**
 * Hints may be lost, also the last one before a long silence. So where mailboxes stand is compared with what was heard of them:
 * all of them in turn, spread over time.
 */
export class Watch {
  readonly #options: WatchOptions;
  readonly #timer: NodeJS.Timeout;
  /** What is still to be looked at in this round. */
  #round: Iterator<Channel> | undefined;
  #due = 0;
  /** Ahead of what was heard a moment ago: a hint may have been on its way. */
  readonly #suspects = new Map<Channel, Position>();

  constructor(options: WatchOptions) {
    this.#options = options;
    this.#timer = setInterval(() => void this.#tick(), Math.min(TICK_MS, options.intervalMs));
    this.#timer.unref();
  }

  /** Looks at everybody as soon as it may: a subscription may have been away. */
  hurry(): void {
    this.#due = Number.MAX_SAFE_INTEGER;
  }

  close(): void {
    clearInterval(this.#timer);
    this.#suspects.clear();
  }

  async #tick(): Promise<void> {
    const { line, subscriber, intervalMs, perSecond } = this.#options;
    const tickMs = Math.min(TICK_MS, intervalMs);
    for (const [channel, head] of this.#suspects) {
      if (isBehind(channel.known, head)) void subscriber.renew(channel);
    }
    this.#suspects.clear();
    if (!line.isUp) return;
    const { size } = subscriber.channels;
    this.#due = Math.min(this.#due + (size * tickMs) / intervalMs, size, (perSecond * tickMs) / 1_000);
    const channels = this.#next(Math.floor(this.#due));
    this.#due -= channels.length;
    await Promise.allSettled(this.#batches(channels).map((batch) => this.#look(batch)));
  }

  #next(count: number): readonly Channel[] {
    const channels: Channel[] = [];
    while (channels.length < count) {
      this.#round ??= this.#options.subscriber.channels.values();
      const { value, done } = this.#round.next();
      if (done) {
        this.#round = undefined;
        break;
      }
      channels.push(value);
    }
    return channels;
  }

  #batches(channels: readonly Channel[]): readonly (readonly Channel[])[] {
    const groups = new Map<string, Channel[]>();
    for (const [i, channel] of channels.entries()) {
      const group = this.#options.isCluster ? channel.keys.bucket : String(Math.floor(i / BATCH));
      const known = groups.get(group);
      if (known === undefined) groups.set(group, [channel]);
      else known.push(channel);
    }
    return [...groups.values()];
  }

  async #look(batch: readonly Channel[]): Promise<void> {
    const { line, subscriber } = this.#options;
    const before = batch.map(({ known }) => known);
    const keys = batch.flatMap(({ keys: { mailbox, generation, store } }) => [mailbox, generation, store]);
    const users = batch.map(({ userId }) => userId);
    const texts = textsOf(await line.run("heads", keys, users));
    for (const [i, channel] of batch.entries()) {
      const [epoch = "", offset, at] = texts.slice(3 * i, 3 * i + 3);
      const head = { epoch, offset: Number(offset), at: Number(at) };
      const heard = before[i];
      if (heard === undefined) channel.known ??= head;
      else if (isAnother(heard, head)) {
        channel.known = head;
        subscriber.interrupt(channel);
      } else if (isBehind(channel.known, head)) this.#suspects.set(channel, head);
    }
  }
}

/** Whether what was heard is not, or no longer, in a log that stands at `head`. */
const isAnother = (heard: Position, head: Position): boolean => head.offset < heard.offset || !isOneLog(heard, head);

const isBehind = (known: Position | undefined, head: Position): boolean =>
  known?.epoch === head.epoch && known.offset < head.offset;
