import { randomBytes } from "node:crypto";
import { UsercastError } from "@usercast/protocol";
import { Cluster, Redis } from "ioredis";
import type {
  Broker,
  CursorMove,
  Draft,
  Entry,
  KeyUse,
  MailboxListener,
  MailboxState,
  Page,
  PublishResult,
  ReceiptGrant,
  Signal,
  Unsubscribe,
} from "../ports.ts";
import { RecentPublishes } from "./recent.ts";
import { keysOf } from "./redis/keys.ts";
import { Publisher } from "./redis/publisher.ts";
import { epochOf, readEntry, readState, type StoredState, writeMove, writeSignal } from "./redis/rows.ts";
import { type RawAnswer, type RedisClient, run } from "./redis/scripts.ts";
import { Subscriber } from "./redis/subscriber.ts";
import { keyScope } from "./results.ts";
import { type Retention, type RetentionOptions, resolveRetention } from "./retention.ts";

/** What the Redis broker can be told. */
export interface RedisOptions
  extends Omit<RetentionOptions, "maxMailboxes" | "maxTotalBytes" | "maxIdempotencyKeys" | "sweepIntervalMs"> {
  /** A client of ioredis'; it stays open when the broker is closed. */
  readonly client?: RedisClient;
  /** The address of one server, `redis://…` or `rediss://…`, where there is no client. */
  readonly url?: string;
  /**
   * What every key and channel begins with.
   * @default "usercast:"
   */
  readonly prefix?: string;
  /**
   * Messages that may wait for their answers; over it they fail with `OVERLOADED`.
   * @default 65_536
   */
  readonly maxPendingWrites?: number;
  /** Where warnings go. @default console.warn */
  readonly warn?: (message: string) => void;
}

const DAY_MS = 86_400_000;
/** Of what nobody keeps a reference to, an eighth of a kilobyte each: the entries a full mailbox looks at for expired ones. */
const LOOKED_AT = 1_000;
const PAGE_BYTES = 1_048_576;
/** Tries of a cursor that others move at the same time. */
const MAX_TRIES = 16;

/** Keeps mailboxes in Redis or Valkey, for any number of nodes. */
export async function redis(options: RedisOptions): Promise<Broker> {
  const retention = resolveRetention(options, Number.MAX_SAFE_INTEGER);
  const { url, prefix = "usercast:" } = options;
  if ((options.client === undefined) === (url === undefined)) {
    throw new UsercastError("INVALID_OPTIONS", "Give redis() either a client or a url.");
  }
  const own = url === undefined ? undefined : new Redis(url);
  const client = options.client ?? own ?? new Redis();
  const subscriber = client instanceof Cluster ? client.duplicate() : client.duplicate();
  const secretKey = `${prefix}secret`;
  await client.set(secretKey, randomBytes(16).toString("hex"), "NX");
  const secret = (await client.get(secretKey)) ?? "";
  return new RedisBroker(options, { client, own, subscriber, retention, prefix, secret });
}

interface Parts {
  readonly client: RedisClient;
  /** The client, where it is ours to close. */
  readonly own: RedisClient | undefined;
  readonly subscriber: RedisClient;
  readonly retention: Retention;
  readonly prefix: string;
  readonly secret: string;
}

class RedisBroker implements Broker {
  readonly name = "redis";
  readonly scope = "cluster";
  readonly idempotencyMs: number;
  readonly #parts: Parts;
  readonly #publisher: Publisher;
  readonly #subscriber: Subscriber;
  readonly #command: "PUBLISH" | "SPUBLISH";
  readonly #lifeMs: number;
  /** Retries of this process; those of the client library find their answers in Redis. */
  readonly #recent = new RecentPublishes();
  readonly #publishing = new Map<string, Promise<PublishResult>>();
  /** How far the clock of Redis is ahead of ours. */
  #aheadMs = 0;
  #isClosed = false;

  constructor(options: RedisOptions, parts: Parts) {
    const { client, subscriber, retention, prefix, secret } = parts;
    const warn = options.warn ?? ((message: string) => console.warn(message));
    this.#parts = parts;
    this.idempotencyMs = retention.idempotencyMs;
    this.#lifeMs = retention.retentionMs + retention.deviceIdleMs;
    const isCluster = client instanceof Cluster;
    this.#command = isCluster ? "SPUBLISH" : "PUBLISH";
    const limits = JSON.stringify({
      messages: retention.maxMailboxMessages,
      bytes: retention.maxMailboxBytes,
      retention: retention.retentionMs,
      reject: retention.whenFull === "reject",
      key: retention.idempotencyMs,
      life: this.#lifeMs,
      day: DAY_MS,
      looked: LOOKED_AT,
      secret,
    });
    this.#publisher = new Publisher({
      client,
      prefix,
      limits: () => limits,
      command: this.#command,
      isCluster,
      maxPendingWrites: options.maxPendingWrites ?? 65_536,
      unavailable: (cause) => new UsercastError("UNAVAILABLE", undefined, { cause }),
    });
    this.#subscriber = new Subscriber({
      client: subscriber,
      prefix,
      isSharded: isCluster,
      lingerMs: 1_000,
      report: (error) => warn(`Redis: ${String(error)}`),
    });
  }

  now(): number {
    return Date.now() + this.#aheadMs;
  }

  async publish(drafts: readonly Draft[]): Promise<readonly PublishResult[]> {
    this.#mustBeOpen();
    return Promise.all(drafts.map((draft) => this.#publishOnce(draft)));
  }

  #publishOnce(draft: Draft): Promise<PublishResult> {
    const known = this.#recent.get(draft.id);
    if (known !== undefined) return Promise.resolve(known);
    const underWay = this.#publishing.get(draft.id);
    if (underWay !== undefined) return underWay;
    const publishing = this.#publisher.publish(draft).then((result) => {
      this.#publishing.delete(draft.id);
      this.#recent.remember(draft.id, result);
      return result;
    });
    this.#publishing.set(draft.id, publishing);
    return publishing;
  }

  signal(userId: string, signal: Signal): void {
    if (this.#isClosed) return;
    const { client, prefix } = this.#parts;
    const { channel } = keysOf(prefix, userId);
    const bytes = writeSignal(signal);
    (this.#command === "SPUBLISH" ? client.spublish(channel, bytes) : client.publish(channel, bytes)).catch(() => {});
  }

  async read(userId: string, after: number, limit: number): Promise<Page> {
    this.#mustBeOpen();
    const { client, prefix, secret } = this.#parts;
    const { mailbox, log, generation } = keysOf(prefix, userId);
    const wanted = Math.max(1, limit);
    const answer = (await run(client, "read", [mailbox, log, generation], [after, wanted + 1])) as readonly RawAnswer[];
    const [now, epoch, head, at, trimmed, life = "0", ...rows] = answer;
    this.#clockSays(Number(now));
    const position = { epoch: String(epoch) || epochOf(secret, String(life), userId), offset: Number(head), at: Number(at) };
    const entries: Entry[] = [];
    let [bytes, through] = [0, after];
    let isCut = rows.length > wanted;
    for (const row of rows.slice(0, wanted)) {
      const { entry } = readEntry(row as Buffer);
      if (entry.expiresAt > Number(now)) {
        if (entries.length > 0 && bytes + entry.bytes > PAGE_BYTES) {
          isCut = true;
          break;
        }
        entries.push(entry);
        bytes += entry.bytes;
      }
      through = entry.offset;
    }
    return {
      epoch: position.epoch,
      head: position,
      trimmed: Number(trimmed),
      entries,
      through: isCut ? through : position.offset,
    };
  }

  async advance(userId: string, device: string, epoch: string, move: CursorMove): Promise<void> {
    this.#mustBeOpen();
    const { client, prefix, retention } = this.#parts;
    const { mailbox, devices, channel } = keysOf(prefix, userId);
    for (let tries = 0; tries < MAX_TRIES; tries += 1) {
      const { now, head, cursors, moves } = await this.#stateOf(userId);
      if (head.offset === 0 || head.epoch !== epoch) return;
      const before = new Set([...cursors.all].map(([name]) => name));
      const moved = cursors.advance(device, move, { head: head.offset, now }, retention);
      if (moved === undefined) return;
      const after = new Map(cursors.all);
      const { from, to } = moved;
      const isNews = to.delivered > from.delivered || to.read > from.read;
      const { delivered, read, missed, unshown } = cursors.user;
      const args = [
        epoch,
        moves,
        this.#lifeMs,
        this.#command,
        channel,
        isNews ? writeMove({ ...moved, epoch }) : "",
        delivered,
        read,
        JSON.stringify(missed),
        JSON.stringify(unshown),
        device,
        JSON.stringify(after.get(device)),
        ...[...before].filter((name) => !after.has(name)),
      ];
      if (Number(await run(client, "advance", [mailbox, devices], args)) === 1) return;
    }
    throw new UsercastError("UNAVAILABLE", "The cursor was moved by others too often.");
  }

  async position(userId: string): Promise<MailboxState> {
    this.#mustBeOpen();
    const { now, head, cursors } = await this.#stateOf(userId);
    return { epoch: head.epoch, head, user: cursors.user, devices: cursors.devices(now, this.#parts.retention) };
  }

  async recall(userId: string, from: string | undefined, key: string): Promise<KeyUse | undefined> {
    this.#mustBeOpen();
    const { client, prefix } = this.#parts;
    const text = await client.get(keysOf(prefix, userId).key(keyScope(from, key)));
    if (text === null) return undefined;
    const { epoch, offset, at, receipts } = JSON.parse(text) as StoredKey;
    if (epoch !== (await this.#stateOf(userId)).head.epoch) return undefined;
    return { position: { epoch, offset, at }, ...(receipts && { receipts }) };
  }

  async subscribe(userId: string, listener: MailboxListener): Promise<Unsubscribe> {
    this.#mustBeOpen();
    return this.#subscriber.add(userId, listener);
  }

  async purge(userId: string): Promise<void> {
    this.#mustBeOpen();
    const { client, prefix } = this.#parts;
    const { mailbox, log, devices, generation, channel } = keysOf(prefix, userId);
    await run(client, "purge", [mailbox, log, devices, generation], [this.#lifeMs, this.#command, channel]);
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.#publisher.idle();
    this.#subscriber.close();
    const { own, subscriber } = this.#parts;
    await Promise.all([subscriber.quit(), own?.quit()]);
  }

  async #stateOf(userId: string): Promise<StoredState> {
    const { client, prefix, secret } = this.#parts;
    const { mailbox, devices, generation } = keysOf(prefix, userId);
    const state = readState(await run(client, "position", [mailbox, devices, generation], []), secret, userId);
    this.#clockSays(state.now);
    return state;
  }

  #clockSays(now: number): void {
    this.#aheadMs = now - Date.now();
  }

  #mustBeOpen(): void {
    if (this.#isClosed) throw new UsercastError("SERVER_CLOSED");
  }
}

interface StoredKey {
  readonly epoch: string;
  readonly offset: number;
  readonly at: number;
  readonly receipts?: ReceiptGrant;
}
