import { UsercastError } from "@usercast/protocol";
import type { Attached, Presence, PresencePage, PresenceSettings, PresentConnection, PresentUser } from "./ports.ts";
import { makeRoom, PresenceTracker } from "./presence.ts";

interface Present {
  /** Which user this is since the start, counted as they come online: what a page is continued by. */
  readonly number: number;
  /** Oldest first. Replaced as a whole: nearly all users have one. */
  connections: readonly PresentConnection[];
}

/** Presence of a process that is alone: the specification of the port in code. */
export class LocalPresence implements Presence {
  readonly node = "local";
  readonly #settings: PresenceSettings;
  readonly #tracker: PresenceTracker;
  /** In the order in which they came online. */
  readonly #users = new Map<string, Present>();
  #came = 0;
  #connections = 0;

  constructor(settings: PresenceSettings) {
    this.#settings = settings;
    this.#tracker = new PresenceTracker(settings);
  }

  async attach(connection: PresentConnection): Promise<Attached> {
    const { userId, socketId } = connection;
    const known = this.#users.get(userId)?.connections ?? [];
    if (known.some((one) => one.socketId === socketId)) return { accepted: true, evicted: [] };
    const evicted = makeRoom(known, connection, this.#settings);
    if (evicted === undefined) return { accepted: false, evicted: [] };
    const user: Present = this.#users.get(userId) ?? { number: ++this.#came, connections: [] };
    // Unlike a literal with a spread, `concat` leaves no room behind the last.
    user.connections = user.connections.concat(connection);
    this.#users.set(userId, user);
    this.#connections += 1;
    this.#tracker.connected(userId);
    for (const one of evicted) this.#remove(userId, one);
    return { accepted: true, evicted };
  }

  async detach(userId: string, socketId: string): Promise<void> {
    this.#remove(userId, socketId);
  }

  async find(userIds: readonly string[]): Promise<readonly PresentUser[]> {
    return userIds.map((userId) => this.#find(userId));
  }

  async online(userIds: readonly string[]): Promise<ReadonlySet<string>> {
    return new Set(userIds.filter((userId) => this.#users.has(userId)));
  }

  async list(cursor: string | undefined, limit: number): Promise<PresencePage> {
    const after = Number(cursor ?? 0);
    if (cursor !== undefined && !/^\d{1,15}$/.test(cursor))
      throw new UsercastError("INVALID_REQUEST", "No page gave this cursor.");
    const users: PresentUser[] = [];
    let last = after;
    for (const [userId, { number }] of this.#users) {
      if (number <= after) continue;
      if (users.length === limit) return { users, cursor: String(last) };
      users.push(this.#find(userId));
      last = number;
    }
    return { users };
  }

  async count(): Promise<{ readonly users: number; readonly connections: number }> {
    return { users: this.#users.size, connections: this.#connections };
  }

  async close(): Promise<void> {
    this.#tracker.close();
  }

  #find(userId: string): PresentUser {
    const lastSeen = this.#tracker.lastSeen(userId);
    const connections = (this.#users.get(userId)?.connections ?? []).map((one) => ({ ...one, node: this.node }));
    return { userId, connections, ...(lastSeen !== undefined && { lastSeen }) };
  }

  #remove(userId: string, socketId: string): void {
    const user = this.#users.get(userId);
    const others = user?.connections.filter((one) => one.socketId !== socketId) ?? [];
    if (user === undefined || others.length === user.connections.length) return;
    user.connections = others;
    if (others.length === 0) this.#users.delete(userId);
    this.#connections -= 1;
    this.#tracker.disconnected(userId);
  }
}
