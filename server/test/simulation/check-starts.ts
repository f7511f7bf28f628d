import { type History, hadReceived, isFor, type Segment, segmentsOf, settledThrough } from "./history.ts";
import type { Accepted, RunRecord, SdkConnection } from "./record.ts";

interface Started extends SdkConnection {
  readonly start: NonNullable<SdkConnection["start"]>;
}

/**
 * A connection begins at the place it brings. Without one that stands it begins no further than its device has come; and where
 * the device has no place, behind nothing that nobody had, or nothing that is still there.
 */
export function* checkStarts(record: RunRecord, history: History): Iterable<string> {
  const segments = record.pages.flatMap((page) => segmentsOf(page).map((segment) => ({ page, segment })));
  const started = record.connections.filter((one): one is Started => one.start !== undefined);
  for (const connection of started) {
    const { user, device, claim, start, madeAt } = connection;
    if (claim?.epoch === start.epoch && claim.offset === start.offset) continue;
    const name = `a page of ${user}'s ${device}`;
    const ofUser = segments.filter(({ page, segment }) => page.user === user && segment.epoch === start.epoch);
    const before = started.filter((one) => one.user === user && one.start.epoch === start.epoch && one.start.step < start.step);
    const come = Math.max(
      0,
      ...ofUser.filter(({ page }) => page.device === device).map(({ segment }) => comeTo(segment, start.step)),
      ...before.filter((one) => one.device === device).map((one) => one.start.offset),
    );
    const acked = Math.max(
      0,
      ...started
        .filter((one) => one.user === user && one.device === device && one.start.epoch === start.epoch)
        .flatMap(({ acks }) => acks.filter(({ step }) => step < madeAt).map(({ offset }) => offset)),
    );
    // Nothing that a device has confirmed comes to it again, where the node could tell the store.
    if (claim === undefined && record.isOneNode && record.crashes.length + record.failures.length === 0 && start.offset < acked)
      yield `${name} begins behind ${start.offset}, and its device had confirmed ${acked}`;
    const isWithin = start.offset <= history.passes(user, device, start.epoch, come);
    // The device may have got its place while the connection was being made.
    if (isWithin && isPlaced(connection, start.step, record)) continue;
    // A message that is only for a device never seen gives it a place too, where its user has come furthest.
    const isNamed = history.of(user).some(({ devices }) => devices !== undefined && "only" in devices && devices.only === device);
    if (isPlaced(connection, madeAt, record) && (isWithin || !isNamed)) {
      if (!isWithin) yield `${name} begins behind ${start.offset}, and its device had come to ${come}`;
      continue;
    }
    const hadAny = (message: Accepted): boolean =>
      ofUser.some(({ page, segment }) => isFor(message.devices, page.device) && comeTo(segment, start.step) >= message.offset) ||
      before.some((one) => isFor(message.devices, one.device) && one.start.offset >= message.offset) ||
      record.stays.some((stay) => stay.user === user && hadReceived(stay, message.n, start.step));
    for (const message of history.of(user)) {
      const { epoch, offset, step, endedAt, devices } = message;
      if (epoch !== start.epoch || offset > start.offset || step > start.step || endedAt < start.step) continue;
      if (!isFor(devices, device) || history.mayBeGone(message, start.time, start.step)) continue;
      if (claim !== undefined && !isNamed)
        yield `${name} begins behind ${offset}, which is there, and its own place means nothing`;
      else if (!hadAny(message) && !isNamed) yield `${name} begins behind ${offset}, which nobody had`;
    }
  }
}

const comeTo = (segment: Segment, step: number): number => (segment.beganAt > step ? 0 : settledThrough(segment, step));

/** Whether the store knew a place of the device by a step. */
const isPlaced = ({ user, device, start }: Started, step: number, { cursors }: RunRecord): boolean =>
  cursors.some(
    (write) =>
      write.user === user &&
      write.device === device &&
      write.epoch === start.epoch &&
      write.stood !== undefined &&
      write.step < step &&
      write.endedAt > start.step,
  );
