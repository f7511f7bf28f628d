import { createHash } from "node:crypto";
import type { PlacedConnection, PresenceSettings, PresentConnection, PresentUser } from "../../ports.ts";
import { Doubt } from "./doubt.ts";
import type { Line } from "./line.ts";
import { textsOf } from "./rows.ts";
import type { RawAnswer } from "./scripts.ts";

/** Users of a dead node that one call forgets. */
const SWEPT_PER_CALL = 100;
/** Users that one look tells to have gone, at most; the next one follows at once. */
const GONE_PER_LOOK = 1_000;

const digest = (text: string): Buffer => createHash("sha256").update(text).digest();

/** In which of `count` buckets a user is. */
export const bucketOf = (userId: string, count: number): number => (count === 1 ? 0 : (digest(userId)[31] ?? 0) % count);

/** What a look found. */
export interface Look {
  /** Whether our lease is gone: others have forgotten our connections. */
  readonly isLost: boolean;
  /** Who has gone, and was told to nobody else. */
  readonly gone: readonly string[];
  /** Nodes that are dead, and when they were last there. */
  readonly dead: ReadonlyMap<string, number>;
  /** Milliseconds until the next other node is dead, unless it renews. */
  readonly soonestMs: number;
}

type BucketSettings = Pick<PresenceSettings, "clock" | "leaseMs" | "graceMs" | "maxLastSeen" | "maxConnections" | "takeover">;

/** What an attempt to attach came to. */
export type Attempt =
  | { readonly state: "gone" | "full" }
  | { readonly state: "here"; readonly cameOnline: boolean; readonly evicted: readonly string[] };

/**
 * A part of all users, with the leases of all nodes, in keys that share a hash tag: what is true of one user is changed in one step,
 * leases included. Without a cluster there is only one.
 */
export class PresenceBucket {
  readonly #line: Line;
  readonly #settings: BucketSettings;
  readonly #doubt: Doubt;
  readonly #tag: string;

  constructor(line: Line, tag: string, settings: BucketSettings) {
    this.#line = line;
    this.#tag = tag;
    this.#settings = settings;
    this.#doubt = new Doubt(settings.leaseMs);
  }

  /** Renews a node's lease, or begins it. */
  async look(node: string, begins: boolean): Promise<Look> {
    const { clock, leaseMs } = this.#settings;
    const args = [node, leaseMs, begins ? 1 : 0, GONE_PER_LOOK, this.#trustedUntil];
    const answer = await this.#line.run("presence-look", [this.#key("leases"), this.#key("leaving")], args);
    const [state, now, gone, leases] = answer as readonly RawAnswer[];
    const isLost = String(state) === "gone";
    const storeNow = Number(now);
    if (!isLost) this.#doubt.renewed(clock.now(), storeNow);
    const dead = new Map<string, number>();
    let soonestMs = Number.POSITIVE_INFINITY;
    const rows = textsOf(leases);
    for (let i = 0; i + 1 < rows.length; i += 2) {
      const [other = "", end] = [rows[i], Number(rows[i + 1])];
      if (other === node) continue;
      if (end === 0) dead.set(other, storeNow);
      else if (end <= storeNow && storeNow < this.#trustedUntil) dead.set(other, end - leaseMs);
      else if (end > storeNow) soonestMs = Math.min(soonestMs, end - storeNow);
    }
    return { isLost, gone: textsOf(gone), dead, soonestMs };
  }

  async attach(node: string, connection: PresentConnection, isLimited: boolean): Promise<Attempt> {
    const { userId, socketId, device, session, connectedAt } = connection;
    const { maxConnections, takeover } = this.#settings;
    const sitting = session === undefined ? "-" : `${device}/${session}`;
    const known = JSON.stringify({ device, session, connectedAt });
    const args = [node, userId, socketId, sitting, known, isLimited ? maxConnections : 0, takeover, this.#trustedUntil];
    const keys = [this.#user(userId), ...this.#keys("leases", "online", "leaving", "held"), this.#usersOf(node)];
    const [state, cameOnline, ...evicted] = textsOf(await this.#line.run("presence-attach", keys, args));
    return state === "here" ? { state, cameOnline: cameOnline === "1", evicted } : { state: state === "full" ? state : "gone" };
  }

  /** Answers whether it was the user's last one. */
  async detach(node: string, userId: string, socketId: string): Promise<boolean> {
    const { graceMs, maxLastSeen } = this.#settings;
    const args = [node, userId, socketId, graceMs, maxLastSeen, this.#trustedUntil];
    const shared = this.#keys("leases", "online", "leaving", "held");
    const keys = [this.#user(userId), ...shared, this.#usersOf(node), this.#key("seen")];
    return Number(await this.#line.run("presence-detach", keys, args)) === 1;
  }

  /** Forgets a dead node, until nothing is left of it or it turns out to be alive. */
  async sweep(dead: string, seenAt: number): Promise<void> {
    const { graceMs, maxLastSeen } = this.#settings;
    const shared = [...this.#keys("leases", "online", "leaving", "held", "seen"), this.#usersOf(dead)];
    for (let left = 1; left > 0; ) {
      const users = await this.#line.call((client) => client.srandmember(this.#usersOf(dead), SWEPT_PER_CALL));
      const args = [dead, seenAt, graceMs, maxLastSeen, this.#trustedUntil, ...users];
      const keys = [...shared, ...users.map((userId) => this.#user(userId))];
      left = Number(await this.#line.run("presence-sweep", keys, args));
    }
  }

  /** Ends a node's lease, so that others forget what is left of it. */
  async retire(node: string): Promise<void> {
    await this.#line.call((client) => client.zadd(this.#key("leases"), "XX", 0, node));
  }

  async find(userIds: readonly string[]): Promise<readonly PresentUser[]> {
    if (userIds.length === 0) return [];
    const keys = [...this.#keys("leases", "seen"), ...userIds.map((userId) => this.#user(userId))];
    const answer = await this.#line.run("presence-find", keys, [this.#trustedUntil, ...userIds]);
    return userIds.map((userId, i) => readUser(userId, textsOf((answer as readonly RawAnswer[])[i])));
  }

  /** Which of these users are online: dead nodes count until they are swept. */
  async online(userIds: readonly string[]): Promise<readonly string[]> {
    const scores = await this.#line.call((client) => client.zmscore(this.#key("online"), ...userIds));
    return userIds.filter((_, i) => scores[i] !== null);
  }

  /** Users online in the order of their ids, those after `after`. */
  async list(after: string | undefined, limit: number): Promise<readonly string[]> {
    const from = after === undefined ? "-" : `(${after}`;
    return this.#line.call((client) => client.zrangebylex(this.#key("online"), from, "+", "LIMIT", 0, limit));
  }

  async count(): Promise<{ readonly users: number; readonly connections: number }> {
    const keys = this.#keys("leases", "online", "held");
    const [users, connections] = textsOf(await this.#line.run("presence-count", keys, [this.#trustedUntil]));
    return { users: Number(users), connections: Number(connections) };
  }

  get #trustedUntil(): number {
    return this.#doubt.trustedUntil(this.#settings.clock.now());
  }

  #key(name: string): string {
    return `${this.#tag}${name}`;
  }

  #keys(...names: readonly string[]): readonly string[] {
    return names.map((name) => this.#key(name));
  }

  #user(userId: string): string {
    return this.#key(`u:${digest(userId).subarray(0, 16).toString("base64url")}`);
  }

  #usersOf(node: string): string {
    return this.#key(`n:${node}`);
  }
}

/** A user as `presence-find.lua` tells of it. */
function readUser(userId: string, [lastSeen, ...rows]: readonly string[]): PresentUser {
  const found: { readonly at: string; readonly connection: PlacedConnection }[] = [];
  for (let i = 0; i + 1 < rows.length; i += 2) {
    const [, at = "", node = "", known = "{}"] = /^(\d+) (\S+) \S+ (.*)$/s.exec(rows[i + 1] ?? "") ?? [];
    const { device, session, connectedAt } = JSON.parse(known) as PresentConnection;
    const connection = { userId, socketId: rows[i] ?? "", node, device, connectedAt, ...(session !== undefined && { session }) };
    found.push({ at, connection });
  }
  found.sort((a, b) => Number(a.at) - Number(b.at));
  const connections = found.map(({ connection }) => connection);
  return { userId, connections, ...(lastSeen && { lastSeen: Number(lastSeen) }) };
}
