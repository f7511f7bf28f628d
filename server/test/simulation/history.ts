import { hadElsewhere } from "./elsewhere.ts";
import type { Accepted, Bounds, Filter, PageLife, PlainStay, RunRecord } from "./record.ts";

/** Whether a message or signal is for a device. */
export const isFor = (devices: Filter | undefined, device: string): boolean =>
  devices === undefined || ("only" in devices ? devices.only === device : devices.except !== device);

/** What was accepted, to be asked in the ways the promises need. */
export class History {
  readonly #bounds: Bounds;
  readonly #byUser = new Map<string, Accepted[]>();
  readonly #byPlace = new Map<string, Accepted[]>();

  readonly #elsewhere: ReadonlyMap<string, ReadonlySet<Accepted>>;

  constructor(record: RunRecord) {
    const { accepted, bounds } = record;
    this.#bounds = bounds;
    const ordered = [...accepted].sort((a, b) => a.step - b.step);
    for (const message of ordered) {
      const place = `${message.user} ${message.epoch} ${message.offset}`;
      for (const [index, key] of [
        [this.#byUser, message.user],
        [this.#byPlace, place],
      ] as const)
        index.set(key, [...(index.get(key) ?? []), message]);
    }
    this.#elsewhere = hadElsewhere(record, this);
  }

  /** Every message that a user was ever sent, in the order of acceptance. */
  of(user: string): readonly Accepted[] {
    return this.#byUser.get(user) ?? [];
  }

  /** The log as it is at the end. */
  log(user: string): readonly Accepted[] {
    return this.of(user).filter(({ endedAt }) => endedAt === Number.POSITIVE_INFINITY);
  }

  /** What was ever at a place: more than one message only where the store was restored. */
  at(user: string, epoch: string, offset: number): readonly Accepted[] {
    return this.#byPlace.get(`${user} ${epoch} ${offset}`) ?? [];
  }

  /** Whether a device has to be given a message: it is for it, and its user had not had it elsewhere before the device came. */
  isDue(message: Accepted, device: string): boolean {
    return isFor(message.devices, device) && this.#elsewhere.get(`${message.user} ${device}`)?.has(message) !== true;
  }

  /** How far a device that has come to an offset has come by it: what follows and is not for it, it passes. */
  passes(user: string, device: string, epoch: string, offset: number): number {
    const isOthers = (message: Accepted): boolean => !this.isDue(message, device);
    let passed = offset;
    while (this.at(user, epoch, passed + 1).some(isOthers)) passed += 1;
    return passed;
  }

  /** Whether a message could be gone at a time and step: it had expired, or newer ones had filled the mailbox. */
  mayBeGone(message: Accepted, time: number, step = Number.POSITIVE_INFINITY): boolean {
    if (message.expiresAt <= time || message.endedAt < step) return true;
    let messages = 0;
    let bytes = message.bytes;
    for (const newer of this.of(message.user)) {
      if (newer.epoch !== message.epoch || newer.step <= message.step || newer.step > step) continue;
      // Two logs under one epoch are one behind the other.
      if (newer.endedAt < message.endedAt && newer.endedAt < step) continue;
      messages += 1;
      bytes += newer.bytes;
    }
    return messages >= this.#bounds.maxMailboxMessages || bytes > this.#bounds.maxMailboxBytes;
  }
}

/** One stretch of a page's life within one life of the mailbox. */
export interface Segment {
  readonly epoch: string;
  /** The offset it began behind. */
  readonly start: number;
  readonly beganAt: number;
  /** Started and missed, in the order in which they came: what was told through `through`, after `after`. */
  readonly told: {
    readonly after: number;
    readonly through: number;
    readonly n: number | undefined;
    readonly at: number | undefined;
    readonly writtenAt: number;
    readonly step: number;
  }[];
  /** Offsets and times of acceptance of what has settled, and when. */
  readonly settled: Map<string, number>;
}

/** The stretches of a page's life. A new one begins with another epoch, and where the page is told that its place means nothing any more. */
export function segmentsOf(page: PageLife): readonly Segment[] {
  const segments: Segment[] = [];
  const begin = (epoch: string, start: number, beganAt: number): void => {
    segments.push({ epoch, start, beganAt, told: [], settled: new Map() });
  };
  if (page.remembered !== undefined) begin(page.remembered.epoch, page.remembered.offset, page.bornAt);
  for (const event of page.events) {
    const current = segments.at(-1);
    if (event.type === "ready") {
      if (current?.epoch !== event.epoch) begin(event.epoch, event.offset, event.step);
    } else if (event.type === "started") {
      // What is left of an old life is started in the new one.
      const segment = segments.findLast(({ epoch }) => epoch === event.epoch);
      const { offset, n, at, writtenAt, step } = event;
      segment?.told.push({ after: offset - 1, through: offset, n, at, writtenAt, step });
    } else if (event.type === "missed" && event.reason === "rewound") {
      if (current !== undefined) begin(current.epoch, event.before - 1, event.step);
    } else if (event.type === "missed" && event.reason === "epoch") {
      // The new life began with `ready`.
    } else if (event.type === "missed") {
      const { after, before, writtenAt, step } = event;
      current?.told.push({ after, through: before - 1, n: undefined, at: undefined, writtenAt, step });
    } else if (event.type === "settled") {
      segments.findLast(({ epoch }) => epoch === event.epoch)?.settled.set(`${event.offset} ${event.at}`, event.step);
    }
  }
  return segments;
}

/** Up to where a stretch had settled everything by a step. */
export function settledThrough({ start, told, settled }: Segment, step = Number.POSITIVE_INFINITY): number {
  let through = start;
  for (const place of [...told].sort((a, b) => a.through - b.through)) {
    if (place.step > step) break;
    if (place.n !== undefined && (settled.get(`${place.through} ${place.at}`) ?? Number.POSITIVE_INFINITY) > step) break;
    through = place.through;
  }
  return through;
}

/** Whether a plain connection had received a message by a step. */
export const hadReceived = (stay: PlainStay, n: number, step = Number.POSITIVE_INFINITY): boolean =>
  stay.received.some((one) => one.n === n && one.step <= step);
