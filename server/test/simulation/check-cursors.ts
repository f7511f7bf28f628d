import { type History, hadReceived, isFor, segmentsOf, settledThrough } from "./history.ts";
import type { CursorWrite, RunRecord } from "./record.ts";

/** Cursors: only forward, never past the head, and never past what their devices have confirmed. */
export function* checkCursors(record: RunRecord, history: History): Iterable<string> {
  const furthest = new Map<string, CursorWrite>();
  for (const write of record.cursors) {
    const { user, device, epoch, asked, stood } = write;
    const name = `the cursor of ${user}'s ${device}`;
    if (stood === undefined) continue;
    const place = `${user} ${device} ${epoch} ${write.endedAt === Number.POSITIVE_INFINITY}`;
    const before = furthest.get(place);
    if (before?.stood !== undefined && before.endedAt >= write.endedAt && stood.delivered < before.stood.delivered)
      yield `${name} went back from ${before.stood.delivered} to ${stood.delivered}`;
    furthest.set(place, write);
    if (asked > stood.head) yield `${name} was to go to ${asked}, and the head is ${stood.head}`;
    if (device === "plain") yield* checkOwed(write, before?.stood?.delivered ?? 0, record, history);
    else if (!isConfirmed(write, record, history)) yield `${name} was to go to ${asked}, which nobody confirmed`;
  }
  if (record.rested !== undefined) yield* checkResting(record);
}

/**
 * A page has confirmed so much, or began there by the cursors, and what follows is not for its device. A position that a page brought
 * counts only once it has confirmed it; or where the device has no cursor, which then would begin where the user has come furthest.
 */
function isConfirmed(write: CursorWrite, { connections, cursors }: RunRecord, history: History): boolean {
  const { user, device, epoch, asked, step } = write;
  const comes = (from: number): boolean => history.passes(user, device, epoch, from) >= asked;
  const stoodBefore = (before: number, one: CursorWrite): number =>
    one.user === user && one.epoch === epoch && one.step < before ? (one.stood?.delivered ?? -1) : -1;
  return connections.some((connection) => {
    const { start, claim, acks } = connection;
    if (connection.user !== user || connection.device !== device || start?.epoch !== epoch || start.step > step) return false;
    const stands = claim?.epoch === epoch && claim.offset === start.offset;
    const isNew = !cursors.some((one) => one.device === device && stoodBefore(start.step, one) >= 0);
    const isWithin = isNew && cursors.some((one) => stoodBefore(start.step, one) >= asked);
    return ((!stands || isWithin) && comes(start.offset)) || acks.some((ack) => ack.step <= step && comes(ack.offset));
  });
}

/** Never past what a plain connection was pushed and has not received, alive or broken, as long as no later one took that over. */
function* checkOwed(write: CursorWrite, before: number, record: RunRecord, history: History): Iterable<string> {
  const { user, epoch, asked, stood, step } = write;
  const through = Math.min(asked, stood?.delivered ?? 0);
  const { stays, failures } = record;
  const same = stays.filter((stay) => stay.user === user && stay.epoch === epoch);
  const isLossy = failures.length > 0;
  for (const stay of same) {
    if (same.some((next) => next.startedAt > stay.endedAt && next.startedAt < step)) continue;
    for (const { n, step: pushedAt } of stay.pushed) {
      if (pushedAt > step || hadReceived(stay, n, step)) continue;
      if (isLossy && same.some((other) => other !== stay && other.endedAt < stay.startedAt && hadReceived(other, n))) continue;
      const message = history.of(user).findLast((one) => one.n === n && one.epoch === epoch && one.step < pushedAt);
      const isPassed = message !== undefined && message.offset > before && message.offset <= through;
      if (isPassed && message.endedAt > step && isFor(message.devices, "plain"))
        yield `the plain cursor of ${user} went from ${before} to ${through}, past ${message.offset}, which is owed`;
    }
  }
}

/** At rest, every page that is there has been heard. */
function* checkResting({ pages, restingCursors }: RunRecord): Iterable<string> {
  for (const page of pages) {
    if (!page.isThere) continue;
    const last = segmentsOf(page).at(-1);
    if (last === undefined || last.told.length === 0) continue;
    const settled = settledThrough(last);
    const cursor = restingCursors.get(`${page.user} ${page.device}`) ?? 0;
    if (cursor < settled) yield `the cursor of ${page.user}'s ${page.device} rests at ${cursor}, and ${settled} has settled`;
  }
}
