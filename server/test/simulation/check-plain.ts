import { type History, hadReceived, isFor } from "./history.ts";
import type { Accepted, PlainStay, RunRecord } from "./record.ts";

/** Every plain connection: a stretch of the log without holes; and what was due to one comes to it or to a later one. */
export function* checkPlain(record: RunRecord, history: History): Iterable<string> {
  for (const stay of record.stays) {
    const found = [
      ...checkStretch(stay, record, history),
      ...(record.rested === undefined ? [] : checkDue(stay, record, history)),
    ];
    for (const what of found) yield `the plain client ${stay.client} of ${stay.user} ${what}`;
  }
}

function* checkStretch(stay: PlainStay, { signals }: RunRecord, history: History): Iterable<string> {
  const { user, epoch, pushed, received } = stay;
  const messages = history.of(user).filter((message) => message.epoch === epoch);
  const place = (n: number, step: number): Accepted | undefined =>
    messages.findLast((message) => message.n === n && message.step < step);
  let before: Accepted | undefined;
  for (const [index, { n, step }] of received.entries()) {
    const written = pushed[index];
    const message = place(n, written?.step ?? step);
    if (message === undefined || written?.n !== n) {
      yield `received ${n}, which is not the user's`;
      continue;
    }
    if (!isFor(message.devices, "plain")) yield `received ${n}, which is not for it`;
    if (message.expiresAt <= written.writtenAt) yield `received ${n}, which had expired`;
    if (before !== undefined && message.offset <= before.offset) yield `received ${message.offset} after ${before.offset}`;
    const [from, to] = [before?.offset ?? message.offset, message.offset];
    before = message;
    const hole = messages.find(
      (one) =>
        one.offset > from &&
        one.offset < to &&
        one.endedAt > written.step &&
        history.isDue(one, "plain") &&
        !history.mayBeGone(one, written.writtenAt, written.step),
    );
    if (hole !== undefined) yield `received ${to} after ${from}, without ${hole.offset}`;
  }
  for (const n of stay.signals) {
    const signal = signals.find((one) => one.n === n);
    if (signal?.user !== user || !isFor(signal.devices, "plain")) yield `was given the signal ${n}, which is not for it`;
  }
}

function* checkDue(stay: PlainStay, record: RunRecord, history: History): Iterable<string> {
  const { user, epoch, pushed, startedAt, endedAt } = stay;
  const { stays, rested, cursors, crashes, failures, hintsWereLost } = record;
  const same = stays.filter((other) => other.user === user && other.epoch === epoch);
  const later = same.filter((other) => other.startedAt > endedAt && other !== stay);
  const isPlaced = cursors.some(
    (cursor) =>
      cursor.user === user &&
      cursor.device === "plain" &&
      cursor.epoch === epoch &&
      cursor.step < endedAt &&
      cursor.stood !== undefined &&
      cursor.endedAt === Number.POSITIVE_INFINITY,
  );
  // A node that is killed takes with it what it had not written: then only what the store knows counts.
  const wasKilled = crashes.some((step) => step >= Math.min(startedAt, pushed[0]?.step ?? startedAt));
  if (wasKilled && !isPlaced) return;
  const isKnown = isPlaced || same.some((other) => other.pushed.length > 0 && other.startedAt < startedAt);
  const isLossy = failures.length > 0;
  for (const message of history.log(user)) {
    const { n, step } = message;
    if (
      step > (rested?.step ?? 0) ||
      message.epoch !== epoch ||
      !history.isDue(message, "plain") ||
      history.mayBeGone(message, rested?.time ?? 0)
    )
      continue;
    const isDue = pushed.some((one) => one.n === n) || (!hintsWereLost && isKnown && step > startedAt && step < endedAt);
    if (!isDue || hadReceived(stay, n) || later.some((other) => hadReceived(other, n))) continue;
    // Where a cursor was not written, what was confirmed before may come to later ones too, or not.
    if (isLossy && same.some((other) => other !== stay && hadReceived(other, n))) continue;
    yield `was due ${n} at ${message.offset}, which no later one got`;
  }
}
