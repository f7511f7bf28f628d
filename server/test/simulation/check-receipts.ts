import { type History, hadReceived, isFor } from "./history.ts";
import type { Accepted, Followed, RunRecord } from "./record.ts";

/** Who sent a message is told that it was delivered, once somebody has had it and the store knows; and never before. */
export function* checkReceipts(record: RunRecord, history: History): Iterable<string> {
  for (const followed of record.followed) {
    const { n, user, epoch, offset, toldAt, isOver } = followed;
    const messages = history.at(user, epoch, offset).filter((message) => message.n === n);
    if (toldAt !== undefined) {
      const isHad = messages.some((message) => devicesThatHad(message, toldAt, record).length > 0);
      if (!isHad) yield `${n} was told as delivered to ${user}, and nobody had it`;
    } else if (!isOver && messages.some((message) => isKnown(message, followed, record)))
      yield `${n} was delivered to ${user}, and never told`;
  }
}

/** Devices in whose hands a message was by a step: a handler has settled, or a plain client has received it. */
function devicesThatHad({ n, user, epoch, offset, at, devices }: Accepted, step: number, { pages, stays }: RunRecord): string[] {
  const had = pages
    .filter((page) => page.user === user)
    .filter(({ events }) =>
      events.some(
        (one) => one.type === "settled" && one.epoch === epoch && one.offset === offset && one.at === at && one.step <= step,
      ),
    )
    .map(({ device }) => device);
  const isPlain = stays.some((stay) => stay.user === user && hadReceived(stay, n, step));
  return [...had, ...(isPlain ? ["plain"] : [])].filter((device) => isFor(devices, device));
}

/** Whether it had come to rest in the hands of a device whose cursor has passed it. */
function isKnown(message: Accepted, { user }: Followed, record: RunRecord): boolean {
  const { rested, restingCursors } = record;
  if (rested === undefined || message.endedAt !== Number.POSITIVE_INFINITY || message.step > rested.step) return false;
  return devicesThatHad(message, rested.step, record).some(
    (device) => (restingCursors.get(`${user} ${device}`) ?? 0) >= message.offset,
  );
}
