import { randomUUID } from "node:crypto";
import { UsercastError } from "@usercast/protocol";
import type {
  Attached,
  CancelTimer,
  Presence,
  PresencePage,
  PresenceSettings,
  PresentConnection,
  PresentUser,
} from "../../ports.ts";
import type { Line } from "./line.ts";
import { bucketOf, PresenceBucket } from "./presence-bucket.ts";

/** Parts of all users on a cluster, so that they are spread over its servers. The same on every node, for ever. */
const CLUSTER_BUCKETS = 16;
/** Renewals in the time of a lease. */
const RENEWALS = 3;
/** Looks in the time of a lease, at most, however many users leave. */
const MAX_LOOKS = 30;
/** Users looked for, or connections registered again, at once. */
const AT_ONCE = 200;

/** Where a `RedisPresence` keeps what it knows. */
export interface PresenceStore {
  readonly line: Line;
  readonly prefix: string;
  readonly isCluster: boolean;
}

/** Presence in Redis: a node holds a lease, a connection is written when it comes and when it goes. */
export class RedisPresence implements Presence {
  readonly #settings: PresenceSettings;
  readonly #buckets: readonly PresenceBucket[];
  /** What this node has, to be registered again where others took it for dead. */
  readonly #own = new Map<string, Map<string, PresentConnection>>();
  readonly #working = new Set<Promise<unknown>>();
  #node: string = randomUUID();
  /** Whether the store may know connections that are not there any more. */
  #isDirty = false;
  #joining: Promise<void> | undefined;
  #timer: CancelTimer | undefined;
  #dueAt = Number.POSITIVE_INFINITY;
  #isLooking = false;
  #failed = false;
  #isClosed = false;
  /** Users asked about in this turn of the loop, with who wants to know. */
  #asked: { readonly userIds: readonly string[]; readonly tell: (online: ReadonlySet<string>) => void }[] = [];

  constructor({ line, prefix, isCluster }: PresenceStore, settings: PresenceSettings) {
    this.#settings = settings;
    const tags = Array.from({ length: isCluster ? CLUSTER_BUCKETS : 1 }, (_, i) => `${prefix}{p${i}}:`);
    const maxLastSeen = Math.ceil(settings.maxLastSeen / tags.length);
    this.#buckets = tags.map((tag) => new PresenceBucket(line, tag, { ...settings, maxLastSeen }));
    this.#join().catch((error: unknown) => this.#fail(error));
    this.#lookIn(settings.leaseMs / RENEWALS);
  }

  get node(): string {
    return this.#node;
  }

  async attach(connection: PresentConnection): Promise<Attached> {
    const { userId, socketId } = connection;
    const own = this.#own.get(userId) ?? new Map<string, PresentConnection>();
    this.#own.set(userId, own.set(socketId, connection));
    const attempt = (at: string) => this.#during(this.#bucket(userId).attach(at, connection, true));
    await this.#joining?.catch(() => {});
    const node = this.#node;
    let result = await attempt(node);
    if (result.state === "gone") {
      // Many may learn of it at once, and some of them when it is over.
      if (node === this.#node) await this.#join();
      result = await attempt(this.#node);
    }
    // It went while it was under way, and its end may have come first.
    if (!this.#has(userId, socketId)) await this.detach(userId, socketId);
    if (result.state !== "here") {
      this.#forget(userId, socketId);
      if (result.state === "full") return { accepted: false, evicted: [] };
      throw new UsercastError("UNAVAILABLE", "This node could not say that it is there.");
    }
    if (result.cameOnline) this.#settings.onEvent("online", userId);
    return { accepted: true, evicted: result.evicted };
  }

  async detach(userId: string, socketId: string): Promise<void> {
    this.#forget(userId, socketId);
    try {
      const isLast = await this.#during(this.#bucket(userId).detach(this.#node, userId, socketId));
      if (isLast) this.#lookIn(this.#settings.graceMs + 1);
    } catch (error) {
      this.#isDirty = true;
      this.#fail(error);
    }
  }

  async find(userIds: readonly string[]): Promise<readonly PresentUser[]> {
    const found = new Map<string, PresentUser>();
    const look = async ([bucket, ids]: readonly [PresenceBucket, readonly string[]]): Promise<void> => {
      for (let i = 0; i < ids.length; i += AT_ONCE) {
        for (const user of await bucket.find(ids.slice(i, i + AT_ONCE))) found.set(user.userId, user);
      }
    };
    await Promise.all([...this.#byBucket(userIds)].map(look));
    return userIds.map((userId) => found.get(userId) ?? { userId, connections: [] });
  }

  online(userIds: readonly string[]): Promise<ReadonlySet<string>> {
    if (userIds.length === 0) return Promise.resolve(new Set());
    if (this.#asked.length === 0) setImmediate(() => void this.#answer());
    return new Promise((tell) => this.#asked.push({ userIds, tell }));
  }

  async list(cursor: string | undefined, limit: number): Promise<PresencePage> {
    let [number, after] = readCursor(cursor, this.#buckets.length);
    for (; number < this.#buckets.length; number += 1, after = undefined) {
      const ids = (await this.#buckets[number]?.list(after, limit)) ?? [];
      if (ids.length === 0) continue;
      // What died and was not swept yet is in the list, and not online.
      const users = (await this.find(ids)).filter(({ connections }) => connections.length > 0);
      const isEnd = ids.length < limit && number === this.#buckets.length - 1;
      return { users, ...(!isEnd && { cursor: writeCursor(number, ids.at(-1) ?? "") }) };
    }
    return { users: [] };
  }

  async count(): Promise<{ readonly users: number; readonly connections: number }> {
    const counts = await Promise.all(this.#buckets.map((bucket) => bucket.count()));
    const sum = (field: "users" | "connections"): number => counts.reduce((total, count) => total + count[field], 0);
    return { users: sum("users"), connections: sum("connections") };
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#timer?.();
    await Promise.allSettled(this.#working);
    // Others forget the rest where something could not be written.
    await Promise.allSettled(this.#buckets.map((bucket) => bucket.retire(this.#node)));
  }

  /** Takes a new id and registers every connection under it; what is left of the old one is for the next sweep. */
  #join(): Promise<void> {
    this.#joining ??= this.#during(this.#rejoin()).finally(() => {
      this.#joining = undefined;
    });
    return this.#joining;
  }

  async #rejoin(): Promise<void> {
    const [old, node] = [this.#node, randomUUID()];
    this.#isDirty = false;
    await Promise.all(this.#buckets.map((bucket) => bucket.look(node, true)));
    this.#node = node;
    try {
      const all = [...this.#own.values()].flatMap((connections) => [...connections.values()]);
      for (let i = 0; i < all.length; i += AT_ONCE) {
        await Promise.all(all.slice(i, i + AT_ONCE).map((connection) => this.#attachAgain(connection)));
      }
      await Promise.all(this.#buckets.map((bucket) => bucket.retire(old)));
    } catch (error) {
      this.#isDirty = true;
      throw error;
    }
  }

  async #attachAgain(connection: PresentConnection): Promise<void> {
    const { userId, socketId } = connection;
    const result = await this.#bucket(userId).attach(this.#node, connection, false);
    if (result.state === "here" && result.cameOnline) this.#settings.onEvent("online", userId);
    if (!this.#has(userId, socketId)) await this.detach(userId, socketId);
  }

  /** Looks in so many milliseconds, or earlier where that is planned already. */
  #lookIn(ms: number): void {
    const { clock, leaseMs } = this.#settings;
    const dueAt = clock.now() + Math.max(ms, leaseMs / MAX_LOOKS);
    if (this.#isClosed || this.#dueAt <= dueAt) return;
    this.#timer?.();
    this.#dueAt = dueAt;
    this.#timer = clock.after(dueAt - clock.now(), () => {
      this.#dueAt = Number.POSITIVE_INFINITY;
      void this.#during(this.#look());
    });
  }

  async #look(): Promise<void> {
    if (this.#isLooking) return;
    this.#isLooking = true;
    const { leaseMs } = this.#settings;
    let nextMs = leaseMs / RENEWALS;
    try {
      for (const soonestMs of await Promise.all(this.#buckets.map((bucket) => this.#lookAt(bucket)))) {
        nextMs = Math.min(nextMs, soonestMs + 1);
      }
      if (this.#isDirty) await this.#join();
      this.#failed = false;
    } catch (error) {
      nextMs = leaseMs / MAX_LOOKS;
      this.#fail(error);
    } finally {
      this.#isLooking = false;
      this.#lookIn(nextMs);
    }
  }

  async #lookAt(bucket: PresenceBucket): Promise<number> {
    const { isLost, gone, dead, soonestMs } = await bucket.look(this.#node, false);
    this.#isDirty ||= isLost;
    for (const userId of gone) this.#settings.onEvent("offline", userId);
    for (const [node, seenAt] of dead) await bucket.sweep(node, seenAt);
    return dead.size > 0 || gone.length > 0 ? 0 : soonestMs;
  }

  async #answer(): Promise<void> {
    const asked = this.#asked;
    this.#asked = [];
    const online = new Set<string>();
    const userIds = new Set(asked.flatMap((one) => one.userIds));
    const look = async ([bucket, ids]: readonly [PresenceBucket, readonly string[]]): Promise<void> => {
      for (const userId of await bucket.online(ids)) online.add(userId);
    };
    await Promise.allSettled([...this.#byBucket(userIds)].map(look));
    for (const { tell } of asked) tell(online);
  }

  #byBucket(userIds: Iterable<string>): ReadonlyMap<PresenceBucket, readonly string[]> {
    const buckets = new Map<PresenceBucket, string[]>();
    for (const userId of userIds) {
      const bucket = this.#bucket(userId);
      const known = buckets.get(bucket);
      if (known === undefined) buckets.set(bucket, [userId]);
      else known.push(userId);
    }
    return buckets;
  }

  #bucket(userId: string): PresenceBucket {
    const bucket = this.#buckets[bucketOf(userId, this.#buckets.length)];
    if (bucket === undefined) throw new UsercastError("INTERNAL");
    return bucket;
  }

  #has(userId: string, socketId: string): boolean {
    return this.#own.get(userId)?.has(socketId) === true;
  }

  #forget(userId: string, socketId: string): void {
    const own = this.#own.get(userId);
    own?.delete(socketId);
    if (own?.size === 0) this.#own.delete(userId);
  }

  /** Work that is waited for when this is closed. */
  #during<T>(work: Promise<T>): Promise<T> {
    const done = work.then(
      () => {},
      () => {},
    );
    this.#working.add(done);
    void done.then(() => this.#working.delete(done));
    return work;
  }

  /** Told once for each time the store is away. */
  #fail(error: unknown): void {
    if (!this.#failed && !this.#isClosed) this.#settings.onError(UsercastError.from(error, "UNAVAILABLE"));
    this.#failed = true;
  }
}

const writeCursor = (bucket: number, last: string): string => Buffer.from(`${bucket} ${last}`).toString("base64url");

function readCursor(cursor: string | undefined, buckets: number): [bucket: number, after: string | undefined] {
  if (cursor === undefined) return [0, undefined];
  const [, bucket, last] = /^(\d{1,3}) (.+)$/s.exec(Buffer.from(cursor, "base64url").toString()) ?? [];
  if (last === undefined || Number(bucket) >= buckets) throw new UsercastError("INVALID_REQUEST", "No page gave this cursor.");
  return [Number(bucket), last];
}
