import type { Position } from "@usercast/protocol";
import type { MailboxListener, Unsubscribe } from "../../ports.ts";
import { Listeners } from "../listeners.ts";
import { isReply } from "./errors.ts";
import { keysOf, type UserKeys } from "./keys.ts";
import type { Line } from "./line.ts";
import { readControl, readEntryHint, readMove, readSignal } from "./rows.ts";

/** The first byte of a hint. */
const HINTS = {
  entry: "e".charCodeAt(0),
  signal: "s".charCodeAt(0),
  move: "m".charCodeAt(0),
  control: "c".charCodeAt(0),
} as const;
/** Channels of one command, at most. */
const BATCH = 500;

/** How a `Subscriber` works. */
export interface SubscriberOptions {
  /** A connection of its own, that hints keep apart from answers. */
  readonly line: Line;
  readonly prefix: string;
  /** Whether channels live where their users' keys do. */
  readonly isCluster: boolean;
  /** Milliseconds a user without listeners stays subscribed, because most come back at once. */
  readonly lingerMs: number;
  /** Milliseconds between two looks whether an idle connection is still one. */
  readonly pingMs: number;
  /** Told that subscriptions are being made again, and everybody was interrupted for what came before: not yet for what comes until then. */
  readonly onReturning: () => void;
  readonly warn: (message: string) => void;
}

/** A user with listeners on this node, or who had some a moment ago. */
export interface Channel {
  readonly userId: string;
  readonly keys: UserKeys;
  readonly ready: Promise<void>;
  listeners: number;
  /** Since when there is nobody. */
  idleSince: number;
  /** The newest place that was heard of, or read. */
  known: Position | undefined;
}

interface Opening {
  readonly name: string;
  readonly bucket: string;
  readonly done: (failure?: unknown) => void;
}

/** What happens to the users whose listeners are on this node. */
export class Subscriber {
  readonly #options: SubscriberOptions;
  readonly #listeners: Listeners;
  /** By the name of the channel. */
  readonly #channels = new Map<string, Channel>();
  readonly #idle = new Set<Channel>();
  #opening: Opening[] = [];
  readonly #timers: readonly NodeJS.Timeout[];

  constructor(options: SubscriberOptions) {
    this.#options = options;
    const { line, isCluster, lingerMs, pingMs, warn } = options;
    this.#listeners = new Listeners((error) => warn(`A mailbox listener threw: ${String(error)}`));
    const { client } = line;
    client.on(isCluster ? "smessageBuffer" : "messageBuffer", (name: Buffer, hint: Buffer) => this.#heard(String(name), hint));
    if (isCluster) client.on("subscribersReady", () => this.#returning());
    else client.on("ready", () => void this.#resubscribe());
    const sweep = setInterval(() => this.#sweep(), lingerMs);
    // A connection that carries only hints would not notice that it is dead.
    const ping = setInterval(() => {
      if (line.isUp) line.call((own) => own.ping()).catch(() => {});
    }, pingMs);
    this.#timers = [sweep, ping];
    for (const timer of this.#timers) timer.unref();
  }

  /** Those that listeners hear of. */
  get channels(): ReadonlyMap<string, Channel> {
    return this.#channels;
  }

  async add(userId: string, listener: MailboxListener): Promise<Unsubscribe> {
    const keys = keysOf(this.#options.prefix, userId);
    const channel = this.#channels.get(keys.channel) ?? this.#open(keys, userId);
    channel.listeners += 1;
    this.#idle.delete(channel);
    const remove = this.#listeners.add(userId, listener);
    let isOver = false;
    const end = async (): Promise<void> => {
      if (isOver) return;
      isOver = true;
      await remove();
      channel.listeners -= 1;
      if (channel.listeners > 0 || this.#channels.get(keys.channel) !== channel) return;
      channel.idleSince = Date.now();
      this.#idle.add(channel);
    };
    try {
      await channel.ready;
    } catch (error) {
      await end();
      throw error;
    }
    return end;
  }

  /** The newest place of a user's mailbox was read, by whomever. Where it is of another log, listeners may not know that yet. */
  sawHead(name: string, head: Position): void {
    const channel = this.#channels.get(name);
    if (channel === undefined) return;
    const { known } = channel;
    const isOther = known !== undefined && !isOneLog(known, head);
    // An answer may be older than what was heard since it was asked for.
    if (known === undefined || isOther || head.offset > known.offset) channel.known = head;
    if (isOther) this.interrupt(channel);
  }

  /** Something may have been missed by the listeners of a user. */
  interrupt(channel: Channel): void {
    this.#listeners.tell(channel.userId, (listener) => listener.interrupted());
  }

  /** Hints of a user were lost: on a cluster a subscription that failed is tried again by nobody else. */
  async renew(channel: Channel): Promise<void> {
    const { line, isCluster } = this.#options;
    const name = channel.keys.channel;
    if (isCluster && this.#channels.get(name) === channel) {
      await line.client.sunsubscribe(name).catch(() => {});
      await line.call((client) => client.ssubscribe(name)).catch(() => {});
    }
    this.interrupt(channel);
  }

  close(): void {
    for (const timer of this.#timers) clearInterval(timer);
    this.#channels.clear();
    this.#idle.clear();
    this.#listeners.clear();
  }

  #open(keys: UserKeys, userId: string): Channel {
    const name = keys.channel;
    if (this.#opening.length === 0) setImmediate(() => this.#subscribe());
    const ready = new Promise<void>((resolve, reject) => {
      const done = (failure?: unknown): void => (failure === undefined ? resolve() : reject(failure));
      this.#opening.push({ name, bucket: keys.bucket, done });
    });
    const channel: Channel = { userId, keys, ready, listeners: 0, idleSince: 0, known: undefined };
    this.#channels.set(name, channel);
    ready.catch(() => {
      if (this.#channels.get(name) === channel) this.#channels.delete(name);
    });
    return channel;
  }

  /** Subscribes to what was opened in this turn of the loop. */
  #subscribe(): void {
    const { line, isCluster } = this.#options;
    for (const batch of this.#batches(this.#opening.splice(0))) {
      const names = batch.map(({ name }) => name);
      const subscribed = line.call((client) => (isCluster ? client.ssubscribe(...names) : client.subscribe(...names)));
      const settle = (failure?: unknown): void => {
        for (const { done } of batch) done(failure);
      };
      subscribed.then(() => settle(), settle);
    }
  }

  /** Subscribes to everything on a new connection, and only then says that something may have been missed before. */
  async #resubscribe(): Promise<void> {
    const { client } = this.#options.line;
    try {
      for (let first = 0, all = [...this.#channels]; first < all.length; first += BATCH) {
        const batch = all.slice(first, first + BATCH).filter(([name, channel]) => this.#channels.get(name) === channel);
        if (batch.length === 0) continue;
        await client.subscribe(...batch.map(([name]) => name));
        for (const [, channel] of batch) this.interrupt(channel);
      }
    } catch (error) {
      // A connection that is lost again begins again.
      if (isReply(error)) this.#options.warn(`Redis refused to subscribe: ${error.message}`);
    }
  }

  #returning(): void {
    for (const channel of this.#channels.values()) this.interrupt(channel);
    this.#options.onReturning();
  }

  #sweep(): void {
    const { line, isCluster, lingerMs } = this.#options;
    const due = [...this.#idle].filter(({ idleSince }) => idleSince + lingerMs <= Date.now());
    for (const channel of due) {
      this.#idle.delete(channel);
      this.#channels.delete(channel.keys.channel);
    }
    if (!line.isUp) return;
    const ended = due.map(({ keys }) => ({ name: keys.channel, bucket: keys.bucket }));
    for (const batch of this.#batches(ended)) {
      const names = batch.map(({ name }) => name);
      // Without a second try: by then somebody may have subscribed again.
      (isCluster ? line.client.sunsubscribe(...names) : line.client.unsubscribe(...names)).catch(() => {});
    }
  }

  /** What may share a command: on a cluster, channels of one slot. */
  #batches<Item extends { readonly bucket: string }>(items: readonly Item[]): readonly (readonly Item[])[] {
    const groups = new Map<string, Item[]>();
    for (const [i, item] of items.entries()) {
      const group = this.#options.isCluster ? item.bucket : String(Math.floor(i / BATCH));
      const known = groups.get(group);
      if (known === undefined) groups.set(group, [item]);
      else known.push(item);
    }
    return [...groups.values()];
  }

  #heard(name: string, hint: Buffer): void {
    const channel = this.#channels.get(name);
    if (channel === undefined) return;
    const { userId } = channel;
    const body = hint.subarray(1);
    if (hint[0] === HINTS.entry) {
      const { entry, epoch } = readEntryHint(body);
      channel.known = { epoch, offset: entry.offset, at: entry.at };
      this.#listeners.tellEntry(userId, entry, epoch);
    } else if (hint[0] === HINTS.signal) {
      const signal = readSignal(body);
      this.#listeners.tellSignal(userId, signal);
    } else if (hint[0] === HINTS.move) {
      const moved = readMove(body);
      this.#listeners.tell(userId, (listener) => listener.cursors(moved));
    } else if (hint[0] === HINTS.control) {
      const control = readControl(body);
      this.#listeners.tell(userId, (listener) => listener.control(control));
    } else {
      // One that is not understood, of a newer version perhaps, says to look at the log.
      this.interrupt(channel);
    }
  }
}

/** Whether two places can be of one log, whichever is the later one: offsets and times rise together. */
export const isOneLog = (a: Position, b: Position): boolean =>
  a.epoch === b.epoch && Math.sign(a.offset - b.offset) === Math.sign(a.at - b.at);
