import { isOffset } from "@usercast/protocol";
import type { CursorMove, Cursors, CursorsMoved, DeviceCursors, Mutable, UserCursors } from "../ports.ts";
import { added, bounded, type OffsetRange, without } from "../ranges.ts";
import { lowest, type SharedPlaces } from "../sharing.ts";
import type { Retention } from "./retention.ts";
import { after, differ, remaining } from "./shared.ts";

/** Where everybody begins. */
const NOWHERE: UserCursors = { delivered: 0, read: 0, missed: [], skipped: [], unshown: [] };

/** Ranges kept of what no sender may be told: more than any honest mailbox has. */
const MAX_RANGES = 64;

/** How many times during its idle time a device that comes, and confirms nothing new, is written down as seen. */
const SEEN_PER_IDLE_TIME = 90;

/** What bounds the devices of a user. */
type DeviceLimits = Pick<Retention, "maxDevices" | "deviceIdleMs">;

/** Where the mailbox stands when a cursor moves. */
interface Place {
  readonly head: number;
  readonly now: number;
}

/** How far one user has come, and the user's devices. What it gives out stays as it is; what it keeps is changed in place, as often as clients confirm. */
export class CursorSet {
  readonly #user: Mutable<UserCursors>;
  readonly #devices: Map<string, Mutable<DeviceCursors>>;

  /** `devices` come the one seen longest ago first; they belong to the set from then on. */
  constructor(user: UserCursors = NOWHERE, devices: Iterable<readonly [string, DeviceCursors]> = []) {
    this.#user = { ...user };
    this.#devices = new Map(devices);
  }

  /** Becomes what another set is, which goes on to change by itself. */
  assign(other: CursorSet): void {
    Object.assign(this.#user, other.#user);
    for (const name of this.#devices.keys()) if (!other.#devices.has(name)) this.#devices.delete(name);
    for (const [name, device] of other.#devices) {
      const own = this.#devices.get(name);
      // Those seen last come last.
      if (other.#devices.size > 1) this.#devices.delete(name);
      this.#devices.set(name, own === undefined || own.shared !== device.shared ? { ...device } : Object.assign(own, device));
    }
  }

  /** The furthest any device has come, those included that were forgotten. */
  get user(): UserCursors {
    return { ...this.#user };
  }

  /** All that are kept, the one seen longest ago first. */
  get all(): Iterable<readonly [string, DeviceCursors]> {
    return this.#devices;
  }

  /** Those that are not forgotten at `now`. */
  devices(now: number, { deviceIdleMs }: DeviceLimits): ReadonlyMap<string, DeviceCursors> {
    const kept = [...this.#devices].filter(([, { seenAt }]) => seenAt + deviceIdleMs > now);
    return new Map(kept.map(([name, device]) => [name, presentOf(device, now)]));
  }

  /**
   * Moves a device forward and forgets others over the limits. Returns the move, or nothing when nothing is to be written. A
   * device never seen is a change also at offset 0: it has been here and confirmed nothing.
   */
  advance(name: string, move: CursorMove, place: Place, limits: DeviceLimits): Omit<CursorsMoved, "epoch"> | undefined {
    const { now, head } = place;
    const { delivered, read } = this.#user;
    const from = this.#known(name, now, limits);
    const shared = move.shared && after(from?.shared, move.shared, { ...place, target: move.delivered ?? 0 });
    const to = forward(from ?? NOWHERE, shared ? held(move, shared) : move, head);
    const passed = below(to.delivered, move);
    const delivers = to.delivered > (from?.delivered ?? 0) || from?.deliveredAt === 0;
    const reads = to.read > (from?.read ?? 0);
    const isNews = delivers || reads || from === undefined || (shared !== undefined && differ(from.shared, shared));
    if (!isNews && now < from.seenAt + limits.deviceIdleMs / SEEN_PER_IDLE_TIME) return undefined;
    const moved = {
      device: name,
      at: now,
      from: { delivered: from?.delivered ?? move.began ?? delivered, read: from?.read ?? read },
      to,
      missed: passed.missed,
      userRead: read,
      unshown: move.unshown === true,
    };
    this.#moveUser(from, to, { ...move, ...passed });
    const device = this.#newest(name, from);
    device.delivered = to.delivered;
    device.read = to.read;
    if (delivers || from === undefined) device.deliveredAt = now;
    if (reads) device.readAt = now;
    device.seenAt = now;
    device.transient = move.transient ?? device.transient;
    if (shared !== undefined) device.shared = shared;
    this.#forget(name, now, limits);
    return moved;
  }

  /**
   * Remembers a device that a message is only for. One that was never seen begins where the user has come now: by the time it
   * comes, others may have passed the message. Returns whether that is to be written.
   */
  expect(name: string, now: number, limits: DeviceLimits): boolean {
    if (this.#known(name, now, limits) !== undefined) return false;
    const { delivered, read } = this.#user;
    this.#devices.delete(name);
    this.#devices.set(name, { delivered, read, deliveredAt: 0, readAt: 0, seenAt: now, transient: true });
    this.#forget(name, now, limits);
    return true;
  }

  /** The device, as the one seen last; one that is not known begins. */
  #newest(name: string, known: Mutable<DeviceCursors> | undefined): Mutable<DeviceCursors> {
    if (known !== undefined && this.#devices.size === 1) return known;
    const device = known ?? { delivered: 0, read: 0, deliveredAt: 0, readAt: 0, seenAt: 0, transient: false };
    this.#devices.delete(name);
    this.#devices.set(name, device);
    return device;
  }

  /** A device that is not forgotten at `now`. */
  #known(name: string, now: number, { deviceIdleMs }: DeviceLimits): Mutable<DeviceCursors> | undefined {
    const known = this.#devices.get(name);
    return known !== undefined && known.seenAt + deviceIdleMs > now ? known : undefined;
  }

  #moveUser(from: DeviceCursors | undefined, to: Cursors, move: CursorMove): void {
    const { missed = [], skipped = [], unshown = false } = move;
    const user = this.#user;
    const way: Way = { from: from?.delivered ?? move.began, through: to.delivered, userDelivered: user.delivered };
    const notGiven = missed.length + skipped.length === 0 ? missed : [...missed, ...skipped].sort((a, b) => a.first - b.first);
    user.missed = passedOver(user.missed, missed, notGiven, way);
    user.skipped = passedOver(user.skipped, skipped, notGiven, way);
    if (unshown) user.unshown = added(user.unshown, { first: user.read + 1, last: to.read }, MAX_RANGES);
    user.delivered = Math.max(user.delivered, to.delivered);
    user.read = Math.max(user.read, to.read);
  }

  /** The idle ones, and over the number first those that will not come back under their id. */
  #forget(newest: string, now: number, { maxDevices, deviceIdleMs }: DeviceLimits): void {
    for (const [name, { seenAt }] of this.#devices) {
      // The one seen longest ago comes first.
      if (seenAt + deviceIdleMs > now) break;
      this.#devices.delete(name);
    }
    while (this.#devices.size > maxDevices) {
      const others = [...this.#devices].filter(([name]) => name !== newest);
      const [name] = others.find(([, { transient }]) => transient) ?? others[0] ?? [newest];
      this.#devices.delete(name);
    }
  }
}

/** A device without the places that are given up. */
const presentOf = ({ shared, ...device }: DeviceCursors, now: number): DeviceCursors =>
  shared === undefined ? device : { ...device, shared: remaining(shared, now) };

/** A move as far as others that share the device let it come. */
const held = (move: CursorMove, shared: SharedPlaces): CursorMove =>
  move.delivered === undefined ? move : { ...move, delivered: Math.min(move.delivered, lowest(shared)) };

/** What a move names as not given, as far as the cursor has come. */
function below(delivered: number, { missed = [], skipped = [] }: CursorMove): Required<Pick<CursorMove, "missed" | "skipped">> {
  const above = { first: delivered + 1, last: Number.MAX_SAFE_INTEGER };
  return { missed: without(missed, above), skipped: without(skipped, above) };
}

/** `from` moved on, never backwards and never past the head. */
function forward(from: Cursors, to: Partial<Cursors>, head: number): Cursors {
  const further = (now: number, next: number | undefined) => (isOffset(next) ? Math.max(now, Math.min(next, head)) : now);
  return { delivered: further(from.delivered, to.delivered), read: further(from.read, to.read) };
}

/** From where to where a device went; a device never seen began somewhere, and was not given what lies below. */
interface Way {
  readonly from: number | undefined;
  readonly through: number;
  /** How far its user had come before. */
  readonly userDelivered: number;
}

/** What nobody was given, after a device has passed `more` of it and was given everything on its way but `notGiven`. */
function passedOver(
  ranges: readonly OffsetRange[],
  more: readonly OffsetRange[],
  notGiven: readonly OffsetRange[],
  { from, through, userDelivered }: Way,
): readonly OffsetRange[] {
  // Most often everything was given to somebody.
  if (ranges.length + more.length === 0) return ranges;
  let left = ranges;
  if (from !== undefined) {
    let next = from + 1;
    for (const { first, last } of notGiven) {
      left = without(left, { first: next, last: first - 1 });
      next = Math.max(next, last + 1);
    }
    left = without(left, { first: next, last: through });
  }
  // What some device has passed before was given to it, or is in the list already.
  for (const { first, last } of more) left = added(left, clip(first, last, userDelivered + 1, through), MAX_RANGES);
  return bounded(left, MAX_RANGES);
}

const clip = (first: number, last: number, least: number, most: number): OffsetRange => ({
  first: Math.max(first, least),
  last: Math.min(last, most),
});
