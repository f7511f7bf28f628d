import type { History } from "./history.ts";
import { hadReceived, isFor, type Segment, segmentsOf, settledThrough } from "./history.ts";
import type { Accepted, CursorWrite, RunRecord } from "./record.ts";

/** A device that comes for the first time in a life of the mailbox. */
interface Arrival {
  readonly user: string;
  readonly device: string;
  readonly epoch: string;
  readonly step: number;
  readonly time: number;
}

/**
 * What devices need not be given because their user had it elsewhere before they came. They begin where the user has come furthest; or,
 * where something lies below that was for all but those who passed it, before that, and are then not given what lies between.
 */
export function hadElsewhere(record: RunRecord, history: History): ReadonlyMap<string, ReadonlySet<Accepted>> {
  const found = new Map<string, Set<Accepted>>();
  if (!record.accepted.some(({ devices }) => devices !== undefined && "except" in devices)) return found;
  const segments = record.pages.flatMap((page) => segmentsOf(page).map((segment) => ({ page, segment })));
  const isHad = (message: Accepted, step: number): boolean =>
    segments.some(
      ({ page, segment }) => page.user === message.user && isFor(message.devices, page.device) && has(segment, message, step),
    ) || record.stays.some((stay) => stay.user === message.user && hadReceived(stay, message.n, step));
  for (const { user, device, epoch, step, time } of arrivals(record)) {
    const key = `${user} ${device}`;
    const passed = found.get(key) ?? new Set();
    found.set(key, passed);
    const furthest = Math.max(0, ...record.cursors.map((write) => stoodAt(write, user, epoch, step)));
    for (const message of history.of(user)) {
      if (message.epoch !== epoch || message.offset > furthest || message.step > step) continue;
      if (history.mayBeGone(message, time, step) || isHad(message, step)) passed.add(message);
    }
  }
  return found;
}

const has = (segment: Segment, { epoch, offset }: Accepted, step: number): boolean =>
  segment.epoch === epoch && segment.beganAt <= step && settledThrough(segment, step) >= offset;

const stoodAt = (write: CursorWrite, user: string, epoch: string, step: number): number =>
  write.user === user && write.epoch === epoch && write.step < step && write.endedAt > step ? (write.stood?.delivered ?? 0) : 0;

function arrivals({ connections, stays, cursors }: RunRecord): readonly Arrival[] {
  const isNew = ({ user, device, epoch }: Omit<Arrival, "step" | "time">, step: number): boolean =>
    !cursors.some(
      (write) =>
        write.user === user &&
        write.device === device &&
        write.epoch === epoch &&
        write.stood !== undefined &&
        write.step < step &&
        write.endedAt > step,
    );
  const pages = connections.flatMap(({ user, device, claim, start, madeAt }): readonly Arrival[] =>
    claim === undefined && start !== undefined && isNew({ user, device, epoch: start.epoch }, madeAt)
      ? [{ user, device, epoch: start.epoch, step: start.step, time: start.time }]
      : [],
  );
  const plain = stays.flatMap(({ user, epoch, madeAt, startedAt, time }): readonly Arrival[] =>
    isNew({ user, device: "plain", epoch }, madeAt) ? [{ user, device: "plain", epoch, step: startedAt, time }] : [],
  );
  return [...pages, ...plain];
}
