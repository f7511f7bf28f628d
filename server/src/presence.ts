import type { CancelTimer, Clock, Takeover } from "./ports.ts";

/** What is known of a user's presence. */
export interface PresenceRecord {
  readonly connections: number;
  /** What was last announced: it lags behind by the grace period when a user leaves. */
  readonly announced: boolean;
  /** When the last connection ended, in milliseconds since 1970. */
  readonly lastSeen?: number;
}

/** What a change of presence means for those who watch. */
export interface Transition {
  readonly next: PresenceRecord;
  readonly event?: "online" | "offline";
  /** Whether the grace period begins or is over. */
  readonly grace?: "start" | "stop";
}

const ABSENT: PresenceRecord = { connections: 0, announced: false };
/** Shared by nearly all users. */
const CAME_ONLINE: Transition = { next: { connections: 1, announced: true }, event: "online" };

/** One connection more. A return within the grace period is no event. */
export function connected(record: PresenceRecord = ABSENT): Transition {
  if (record === ABSENT) return CAME_ONLINE;
  const next = { ...record, connections: record.connections + 1, announced: true };
  if (record.connections > 0) return { next };
  return record.announced ? { next, grace: "stop" } : { next, event: "online" };
}

/** One connection less. The last one's end starts the grace period. */
export function disconnected(record: PresenceRecord, now: number): Transition {
  const next = { ...record, connections: Math.max(record.connections - 1, 0), lastSeen: now };
  return next.connections === 0 ? { next, grace: "start" } : { next };
}

/** The grace period ran out. */
export function graceOver(record: PresenceRecord): Transition {
  if (record.connections > 0 || !record.announced) return { next: record };
  return { next: { ...record, announced: false }, event: "offline" };
}

/** Which connection a session has; clients without the SDK have none. */
interface Sitting {
  readonly socketId: string;
  readonly device: string;
  readonly session?: string;
}

/**
 * The connections that make room for one that comes, oldest first; nothing where it may not come. A session that returns takes its own
 * place before anybody else's, whatever the policy.
 */
export function makeRoom(
  connections: readonly Sitting[],
  newcomer: Sitting,
  { maxConnections, takeover }: { readonly maxConnections: number; readonly takeover: Takeover },
): readonly string[] | undefined {
  const left = connections.filter(({ socketId }) => socketId !== newcomer.socketId);
  const evicted: string[] = [];
  while (left.length + 1 > maxConnections) {
    const isGhost = ({ device, session }: Sitting): boolean =>
      session !== undefined && session === newcomer.session && device === newcomer.device;
    const ghost = left.findIndex(isGhost);
    if (ghost === -1 && takeover === "reject") return undefined;
    for (const { socketId } of left.splice(Math.max(ghost, 0), 1)) evicted.push(socketId);
  }
  return evicted;
}

/** How a `PresenceTracker` works. */
export interface PresenceOptions {
  readonly clock: Clock;
  readonly graceMs: number;
  /** Absent users whose last seen is remembered; beyond it the one that left first is forgotten. */
  readonly maxLastSeen: number;
  readonly onEvent: (event: "online" | "offline", userId: string) => void;
}

/** Presence of the users of one node: the timers around the transitions above. */
export class PresenceTracker {
  readonly #options: PresenceOptions;
  readonly #present = new Map<string, PresenceRecord>();
  readonly #lastSeen = new Map<string, number>();
  readonly #grace = new Map<string, CancelTimer>();

  constructor(options: PresenceOptions) {
    this.#options = options;
  }

  connected(userId: string): void {
    this.#apply(userId, connected(this.#present.get(userId)));
  }

  disconnected(userId: string): void {
    const record = this.#present.get(userId);
    if (record !== undefined) this.#apply(userId, disconnected(record, this.#options.clock.now()));
  }

  /** When the user's last connection ended, as long as that is remembered. */
  lastSeen(userId: string): number | undefined {
    return this.#present.get(userId)?.lastSeen ?? this.#lastSeen.get(userId);
  }

  /** Stops every timer; announces nothing. */
  close(): void {
    for (const cancel of this.#grace.values()) cancel();
    this.#grace.clear();
  }

  #apply(userId: string, { next, event, grace }: Transition): void {
    if (grace === "stop") {
      this.#grace.get(userId)?.();
      this.#grace.delete(userId);
    }
    if (grace === "start") {
      this.#grace.set(
        userId,
        this.#options.clock.after(this.#options.graceMs, () => {
          this.#grace.delete(userId);
          this.#apply(userId, graceOver(this.#present.get(userId) ?? ABSENT));
        }),
      );
    }
    if (next.announced) this.#present.set(userId, next);
    else this.#left(userId, next.lastSeen);
    if (event !== undefined) this.#options.onEvent(event, userId);
  }

  #left(userId: string, lastSeen: number | undefined): void {
    this.#present.delete(userId);
    if (lastSeen === undefined) return;
    this.#lastSeen.delete(userId);
    this.#lastSeen.set(userId, lastSeen);
    if (this.#lastSeen.size <= this.#options.maxLastSeen) return;
    const [oldest] = this.#lastSeen.keys();
    if (oldest !== undefined) this.#lastSeen.delete(oldest);
  }
}
