import { type History, isFor, type Segment, segmentsOf } from "./history.ts";
import type { Accepted, PageLife, RunRecord } from "./record.ts";

/** Every page: handlers were started once, in order, for everything that is not said to be missed, and for nothing else. */
export function* checkPages(record: RunRecord, history: History): Iterable<string> {
  for (const page of record.pages) {
    const segments = segmentsOf(page);
    const name = `a page of ${page.user}'s ${page.device}`;
    const found = [
      ...segments.flatMap((segment) => [...checkSegment(page, segment, history)]),
      ...checkSignals(page, record),
      ...(record.rested === undefined ? [] : checkEnd(page, segments, history, record.rested.step)),
    ];
    for (const what of found) yield `${name} ${what}`;
  }
}

/** No hole, no repetition, nothing invented, nothing expired, nothing for others. */
function* checkSegment({ user, device }: PageLife, segment: Segment, history: History): Iterable<string> {
  const { epoch, start, told } = segment;
  // A message may wait for its handler while what is missed behind it is told at once.
  const handled = told.filter(({ n }) => n !== undefined);
  for (const [i, { n, through }] of handled.entries())
    if (through <= (handled[i - 1]?.through ?? start)) yield `started ${n} again, or out of order`;
  let known = start;
  for (const { after, through, n, at, writtenAt, step } of [...told].sort((a, b) => a.through - b.through)) {
    if (Math.max(after, start) < known) yield `was told twice of what is at ${known}`;
    for (let offset = known + 1; offset <= Math.min(after, through - 1); offset += 1) {
      const isMeant = history.at(user, epoch, offset).some((message) => !history.isDue(message, device));
      if (!isMeant) yield `has neither started nor missed what is at ${offset}, before ${through}`;
    }
    known = Math.max(known, through);
    if (n !== undefined) {
      const message = history.at(user, epoch, through).find((one) => one.n === n && one.at === at && one.step < step);
      if (message === undefined) yield `started ${n}, which is not what is at ${through}`;
      else if (!isFor(message.devices, device)) yield `started ${n}, which is not for it`;
      else if (message.expiresAt <= writtenAt) yield `started ${n}, which had expired ${writtenAt - message.expiresAt} ms ago`;
      continue;
    }
    for (let offset = after + 1; offset <= through; offset += 1) {
      const there = history.at(user, epoch, offset).filter((message) => message.step < step);
      if (there.length === 0) yield `was told as missed what was never at ${offset}`;
      if (
        there.some((message) => message.endedAt > step) &&
        !there.some((message) => history.mayBeGone(message, writtenAt, step) || !history.isDue(message, device))
      )
        yield `was told that ${offset} is missed, and it is there`;
    }
  }
}

function* checkSignals({ user, device, events }: PageLife, { signals }: RunRecord): Iterable<string> {
  for (const event of events) {
    if (event.type !== "signal") continue;
    const signal = signals.find(({ n }) => n === event.n);
    if (signal?.user !== user || !isFor(signal.devices, device)) yield `was given the signal ${event.n}, which is not for it`;
  }
}

/** Once everything has come to rest, who is there has all of it. */
function* checkEnd(
  { user, device, isThere, isKeptOut }: PageLife,
  segments: readonly Segment[],
  history: History,
  restedAt: number,
): Iterable<string> {
  if (isKeptOut) yield "is open, and is not let in";
  if (!isThere) return;
  const last = segments.at(-1);
  const log = history.log(user).filter(({ step }) => step < restedAt);
  const epoch = log.at(-1)?.epoch;
  if (epoch === undefined) return;
  if (last?.epoch !== epoch) {
    yield "is there, and has not heard of today's epoch";
    return;
  }
  const isTold = ({ n, at, offset }: Accepted): boolean =>
    last.told.some((one) => (one.n === undefined ? one.after < offset && offset <= one.through : one.n === n && one.at === at));
  const open = log.find((message) => message.offset > last.start && history.isDue(message, device) && !isTold(message));
  if (open !== undefined) yield `was never given ${open.n} at ${open.offset}`;
}
