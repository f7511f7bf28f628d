import { randomBytes } from "node:crypto";
import { type Position, UsercastError } from "@usercast/protocol";
import type {
  Broker,
  Control,
  ControlTarget,
  CursorMove,
  DeviceMove,
  Draft,
  KeyUse,
  MailboxListener,
  MailboxState,
  Page,
  Presence,
  PresenceSettings,
  PublishResult,
  Signal,
  Unsubscribe,
} from "../ports.ts";
import { nodeListener, placeOf } from "./listeners.ts";
import { RecentPublishes } from "./recent.ts";
import { checkServer } from "./redis/check.ts";
import { type Connector, connectorOf } from "./redis/connect.ts";
import { keysOf, type UserKeys } from "./redis/keys.ts";
import { Line } from "./redis/line.ts";
import { Mover } from "./redis/mover.ts";
import { type RedisOptions, type ResolvedRedisOptions, resolveRedisOptions } from "./redis/options.ts";
import { pageOf } from "./redis/page.ts";
import { RedisPresence } from "./redis/presence.ts";
import { Publisher } from "./redis/publisher.ts";
import { publishReplicated } from "./redis/replicas.ts";
import { readKeyUse, readState, type StoredState, writeControl, writeSignal } from "./redis/rows.ts";
import type { RawAnswer } from "./redis/scripts.ts";
import { Subscriber } from "./redis/subscriber.ts";
import { Teller } from "./redis/teller.ts";
import { Watch } from "./redis/watch.ts";
import { keyScope } from "./results.ts";

export type { RedisOptions } from "./redis/options.ts";

const DAY_MS = 86_400_000;
/** The entries a full mailbox looks at for expired ones: what holds the server up must be short. */
const LOOKED_AT = 1_000;

/**
 * Keeps mailboxes in Redis or Valkey, for any number of nodes: one server or Sentinels from version 6.2, a cluster from version 7.
 * @throws UsercastError (as a rejection) `INVALID_OPTIONS`, also for a server that would lose messages; `STORE_FORMAT`; `UNAVAILABLE`
 */
export async function redis(options: RedisOptions): Promise<Broker> {
  const resolved = resolveRedisOptions(options);
  const { commandTimeoutMs: timeoutMs, warn } = resolved;
  const connector = connectorOf(options.client, options.url, timeoutMs);
  const prefix = connector.keyPrefix + resolved.prefix;
  const lines: Line[] = [];
  const open = async (): Promise<Line> => {
    const line = new Line({ client: await connector.open(), timeoutMs, warn: lines.length === 0 ? warn : () => {} });
    lines.push(line);
    return line;
  };
  try {
    const line = await open();
    await checkServer(line.client, { prefix, durability: resolved.durability });
    const hints = await open();
    // Who waits for replicas or disks holds up whatever comes after on the same connection.
    const writes = isWaitedFor(resolved) ? await open() : line;
    const broker = new RedisBroker({ ...resolved, prefix }, { connector, line, hints, writes });
    await broker.synchronize();
    return broker;
  } catch (error) {
    for (const line of lines) line.close();
    throw error;
  }
}

interface Connections {
  readonly connector: Connector;
  readonly line: Line;
  readonly hints: Line;
  readonly writes: Line;
}

/** Whether a publish is more than what the server does in memory. */
const isWaitedFor = ({ replicas, durability }: ResolvedRedisOptions): boolean => replicas > 0 || durability === "flushed";

class RedisBroker implements Broker {
  readonly name = "redis";
  readonly scope = "cluster";
  readonly idempotencyMs: number;
  readonly #options: ResolvedRedisOptions;
  readonly #connections: Connections;
  readonly #publisher: Publisher;
  readonly #mover: Mover;
  readonly #teller: Teller;
  readonly #subscriber: Subscriber;
  readonly #watch: Watch;
  readonly #command: "PUBLISH" | "SPUBLISH";
  /** How long epoch, head and cursors are kept: as long as any device may remember them. */
  readonly #lifeMs: number;
  /** Retries of this process; what was sent again after a lost answer finds it in Redis. */
  readonly #recent = new RecentPublishes();
  readonly #publishing = new Map<string, Promise<PublishResult>>();
  /** How far the clock of Redis is ahead of ours. */
  #aheadMs = 0;
  #isClosed = false;

  constructor(options: ResolvedRedisOptions, connections: Connections) {
    this.#options = options;
    this.#connections = connections;
    const { retention, prefix, commandTimeoutMs: timeoutMs, replicas, durability, warn } = options;
    const demands = { replicas, isFlushed: durability === "flushed", timeoutMs };
    const { connector, line, hints, writes } = connections;
    const { isCluster } = connector;
    this.idempotencyMs = retention.idempotencyMs;
    this.#lifeMs = retention.retentionMs + retention.deviceIdleMs;
    this.#command = isCluster ? "SPUBLISH" : "PUBLISH";
    this.#publisher = new Publisher({
      run: (keys, args) =>
        isWaitedFor(options)
          ? writes.call((client) => publishReplicated(client, keys, args, demands))
          : writes.run("publish", keys, args),
      prefix,
      limits: this.#limits(),
      command: this.#command,
      isCluster,
      timeoutMs,
      maxPendingWrites: options.maxPendingWrites,
    });
    const shared = { line, command: this.#command, isCluster };
    this.#teller = new Teller({ ...shared, maxPending: options.maxPendingWrites });
    const onState = (keys: UserKeys, head: Position, now: number): void => this.#saw(keys, head, now);
    this.#mover = new Mover({ ...shared, prefix, retention, lifeMs: this.#lifeMs, onState });
    const { unsubscribeAfterMs: lingerMs } = options;
    const onReturning = (): void => this.#watch.hurry();
    this.#subscriber = new Subscriber({ line: hints, prefix, isCluster, lingerMs, pingMs: timeoutMs, onReturning, warn });
    const { positionCheckMs: intervalMs, positionChecksPerSecond: perSecond } = options;
    this.#watch = new Watch({ line, subscriber: this.#subscriber, isCluster, intervalMs, perSecond });
  }

  /** Learns what time it is by the clock of Redis. */
  async synchronize(): Promise<void> {
    const [seconds, micros] = await this.#connections.line.call((client) => client.time());
    this.#aheadMs = Number(seconds) * 1_000 + Math.floor(Number(micros) / 1_000) - Date.now();
  }

  now(): number {
    return Math.floor(Date.now() + this.#aheadMs);
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
    this.#tell(userId, writeSignal(signal));
  }

  tell(target: ControlTarget, control: Control): void {
    this.#tell(placeOf(target), writeControl(control));
  }

  async listen(node: string, listener: (control: Control) => void): Promise<Unsubscribe> {
    this.#mustBeOpen();
    return this.#subscriber.add(placeOf({ node }), nodeListener(listener));
  }

  /** Tells whoever listens now; nobody learns whether that was somebody. */
  #tell(place: string, hint: string | Buffer): void {
    if (!this.#isClosed) this.#teller.tell(this.#keysOf(place), hint);
  }

  async read(userId: string, after: number, limit: number): Promise<Page> {
    this.#mustBeOpen();
    const keys = this.#keysOf(userId);
    const wanted = Math.max(1, limit);
    const names = [keys.mailbox, keys.log, keys.generation, keys.store];
    const run = () => this.#connections.line.run("read", names, [userId, after, wanted + 1]);
    const { now, page } = await this.#inStore(keys, async () => {
      const read = pageOf(await run(), after, wanted);
      return { ...read, epoch: read.page.epoch };
    });
    this.#saw(keys, page.head, now);
    return page;
  }

  advance(userId: string, device: string, epoch: string, move: CursorMove): Promise<void> {
    return this.advanceAll([{ userId, device, epoch, move }]);
  }

  async advanceAll(moves: readonly DeviceMove[]): Promise<void> {
    this.#mustBeOpen();
    return this.#mover.advanceAll(moves);
  }

  async position(userId: string): Promise<MailboxState> {
    this.#mustBeOpen();
    const { now, head, cursors } = await this.#stateOf(userId);
    return { epoch: head.epoch, head, user: cursors.user, devices: cursors.devices(now, this.#options.retention) };
  }

  async recall(userId: string, from: string | undefined, key: string): Promise<KeyUse | undefined> {
    this.#mustBeOpen();
    const name = this.#keysOf(userId).key(keyScope(from, key));
    const text = await this.#connections.line.call((client) => client.get(name));
    if (text === null) return undefined;
    const use = readKeyUse(text);
    // A key of an earlier life went with its mailbox.
    return use.position.epoch === (await this.#stateOf(userId)).head.epoch ? use : undefined;
  }

  async subscribe(userId: string, listener: MailboxListener): Promise<Unsubscribe> {
    this.#mustBeOpen();
    return this.#subscriber.add(userId, listener);
  }

  async purge(userId: string): Promise<void> {
    this.#mustBeOpen();
    const { mailbox, log, devices, generation, channel } = this.#keysOf(userId);
    const args = [this.#lifeMs, this.#command, channel];
    await this.#connections.line.run("purge", [mailbox, log, devices, generation], args);
  }

  openPresence(settings: PresenceSettings): Presence {
    const { connector, line } = this.#connections;
    return new RedisPresence({ line, prefix: this.#options.prefix, isCluster: connector.isCluster }, settings);
  }

  onAvailability(listener: (isAvailable: boolean) => void): () => void {
    return this.#connections.line.onAvailability(listener);
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#watch.close();
    const { line, hints, writes } = this.#connections;
    await this.#publisher.idle();
    await line.idle();
    this.#subscriber.close();
    for (const one of new Set([line, hints, writes])) one.close();
  }

  async #stateOf(userId: string): Promise<StoredState & { readonly now: number }> {
    const keys = this.#keysOf(userId);
    const names = [keys.mailbox, keys.devices, keys.generation, keys.store];
    const { now, state } = await this.#inStore(keys, async () => {
      const [now, row] = (await this.#connections.line.run("position", names, [userId])) as readonly RawAnswer[];
      const state = readState(row);
      return { now: Number(String(now)), state, epoch: state.head.epoch };
    });
    this.#saw(keys, state.head, now);
    return { ...state, now };
  }

  /** Where a mailbox stands was read. */
  #saw({ channel }: UserKeys, head: Position, now: number): void {
    this.#clockSays(now);
    this.#subscriber.sawHead(channel, head);
  }

  /** Asks again once the store has the secret that it lacked: one that is new, or was emptied. */
  async #inStore<T extends { readonly epoch: string }>({ store }: UserKeys, ask: () => Promise<T>): Promise<T> {
    const answer = await ask();
    if (answer.epoch !== "") return answer;
    const secret = randomBytes(16).toString("base64url");
    await this.#connections.line.call((client) => client.set(store, secret, "NX"));
    return ask();
  }

  #keysOf(userId: string): UserKeys {
    return keysOf(this.#options.prefix, userId);
  }

  #limits(): string {
    const { retention } = this.#options;
    return JSON.stringify({
      messages: retention.maxMailboxMessages,
      bytes: retention.maxMailboxBytes,
      retention: retention.retentionMs,
      reject: retention.whenFull === "reject",
      key: retention.idempotencyMs,
      life: this.#lifeMs,
      day: DAY_MS,
      looked: LOOKED_AT,
    });
  }

  #clockSays(now: number): void {
    // What was on its way for long is late: it says at most that the clock of Redis is not behind it.
    const aheadMs = now - Date.now();
    this.#aheadMs = aheadMs > this.#aheadMs ? aheadMs : this.#aheadMs + (aheadMs - this.#aheadMs) / 8;
  }

  #mustBeOpen(): void {
    if (this.#isClosed) throw new UsercastError("SERVER_CLOSED");
  }
}
