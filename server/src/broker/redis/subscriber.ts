import type { MailboxListener, Unsubscribe } from "../../ports.ts";
import { Listeners } from "../listeners.ts";
import { keysOf } from "./keys.ts";
import { readEntry, readMove, readSignal } from "./rows.ts";
import type { RedisClient } from "./scripts.ts";

/** The first byte of a hint. */
const HINTS = { entry: "e".charCodeAt(0), signal: "s".charCodeAt(0), move: "m".charCodeAt(0) } as const;

/** How a `Subscriber` works. */
export interface SubscriberOptions {
  /** A connection of its own: one that subscribes does nothing else. */
  readonly client: RedisClient;
  readonly prefix: string;
  /** Whether channels live where their users' keys do. */
  readonly isSharded: boolean;
  /** Milliseconds a user without listeners stays subscribed, because most come back at once. */
  readonly lingerMs: number;
  readonly report: (error: unknown) => void;
}

interface Channel {
  readonly userId: string;
  readonly ready: Promise<void>;
  listeners: number;
  lingers: NodeJS.Timeout | undefined;
}

/** What happens to the users whose listeners are on this node. */
export class Subscriber {
  readonly #options: SubscriberOptions;
  readonly #listeners: Listeners;
  /** By channel name. */
  readonly #channels = new Map<string, Channel>();

  constructor(options: SubscriberOptions) {
    this.#options = options;
    this.#listeners = new Listeners(options.report);
    const { client, isSharded } = options;
    client.on(isSharded ? "smessageBuffer" : "messageBuffer", (channel: Buffer, message: Buffer) => {
      const known = this.#channels.get(channel.toString());
      if (known !== undefined) this.#heard(known.userId, message);
    });
    // What happened while the connection was away is lost to it.
    client.on("ready", () => this.interruptAll());
  }

  async add(userId: string, listener: MailboxListener): Promise<Unsubscribe> {
    const name = keysOf(this.#options.prefix, userId).channel;
    const channel = this.#channels.get(name) ?? this.#open(name, userId);
    channel.listeners += 1;
    clearTimeout(channel.lingers);
    const remove = this.#listeners.add(userId, listener);
    let isOver = false;
    const end = async (): Promise<void> => {
      if (isOver) return;
      isOver = true;
      await remove();
      channel.listeners -= 1;
      if (channel.listeners === 0) this.#linger(name, channel);
    };
    try {
      await channel.ready;
    } catch (error) {
      await end();
      throw error;
    }
    return end;
  }

  /** Something may have been missed by everybody. */
  interruptAll(): void {
    for (const { userId } of this.#channels.values()) this.#listeners.tell(userId, (listener) => listener.interrupted());
  }

  close(): void {
    for (const { lingers } of this.#channels.values()) clearTimeout(lingers);
    this.#channels.clear();
    this.#listeners.clear();
  }

  #open(name: string, userId: string): Channel {
    const { client, isSharded } = this.#options;
    const ready = (isSharded ? client.ssubscribe(name) : client.subscribe(name)).then(() => {});
    const channel: Channel = { userId, ready, listeners: 0, lingers: undefined };
    this.#channels.set(name, channel);
    ready.catch(() => {
      if (this.#channels.get(name) === channel) this.#channels.delete(name);
    });
    return channel;
  }

  #linger(name: string, channel: Channel): void {
    const { client, isSharded, lingerMs, report } = this.#options;
    channel.lingers = setTimeout(() => {
      if (channel.listeners > 0 || this.#channels.get(name) !== channel) return;
      this.#channels.delete(name);
      (isSharded ? client.sunsubscribe(name) : client.unsubscribe(name)).catch(report);
    }, lingerMs);
    channel.lingers.unref();
  }

  #heard(userId: string, message: Buffer): void {
    const body = message.subarray(1);
    const call = readHint(message[0], body);
    this.#listeners.tell(userId, call);
  }
}

/** What a hint tells a listener. One that is not understood, of a newer version perhaps, says to look at the log. */
function readHint(kind: number | undefined, body: Buffer): (listener: MailboxListener) => void {
  if (kind === HINTS.entry) {
    const { entry, epoch } = readEntry(body);
    return (listener) => listener.entry(entry, epoch);
  }
  if (kind === HINTS.signal) {
    const signal = readSignal(body);
    return (listener) => listener.signal(signal);
  }
  if (kind === HINTS.move) {
    const moved = readMove(body);
    return (listener) => listener.cursors(moved);
  }
  return (listener) => listener.interrupted();
}
