import { checkCursors } from "./check-cursors.ts";
import { checkPages } from "./check-pages.ts";
import { checkPlain } from "./check-plain.ts";
import { checkReceipts } from "./check-receipts.ts";
import { checkStarts } from "./check-starts.ts";
import { History } from "./history.ts";
import type { RunRecord } from "./record.ts";

/**
 * Holds what happened against what is promised, and answers what broke it. It knows nothing of how server and client
 * work: what it has is the record, and the sentences of the promises.
 */
export function broken(record: RunRecord): readonly string[] {
  const history = new History(record);
  return [
    ...record.wrongs,
    ...checkAcceptance(record),
    ...checkPages(record, history),
    ...checkStarts(record, history),
    ...checkPlain(record, history),
    ...checkCursors(record, history),
    ...checkReceipts(record, history),
    ...checkBounds(record),
  ];
}

/** Accepted means kept, under one place; a key takes effect once. */
function* checkAcceptance({ accepted, answered, sends, rested, pages }: RunRecord): Iterable<string> {
  const places = new Map<string, number>();
  for (const { user, epoch, offset, n, endedAt } of accepted) {
    const place = `${user} ${epoch} ${offset} ${endedAt}`;
    if (places.has(place)) yield `${n} and ${places.get(place)} have both the offset ${offset} of ${user}`;
    places.set(place, n);
  }
  const keys = new Map<string, (typeof accepted)[number]>();
  for (const message of accepted) {
    if (message.key === undefined) continue;
    const scope = `${message.user} ${message.from} ${message.key}`;
    const first = keys.get(scope);
    // What was purged, or lost with the store, took its key with it.
    if (first !== undefined && first.endedAt > message.step) yield `${message.n} was accepted twice under ${message.key}`;
    keys.set(scope, message);
  }
  for (const { n, user, epoch, offset, state } of answered) {
    const isThere = accepted.some((one) => one.n === n && one.user === user && one.epoch === epoch && one.offset === offset);
    if (!isThere) yield `${n} was answered ${state} at ${offset}, where it is not`;
  }
  for (const { n, page, state } of sends) {
    if (state === "accepted" && !accepted.some((one) => one.n === n)) yield `${n} was said to be accepted, and is not`;
    if (state !== "accepted" && page.isThere && pages.includes(page) && rested !== undefined)
      yield `${n}, which a page sent, ${state === "failed" ? "failed" : "was never answered"}`;
  }
}

/** A slow reader costs a bounded amount of memory, and after the end nothing is left. */
function* checkBounds({ bounds, highWater, residue }: RunRecord): Iterable<string> {
  for (const { who, messages, bytes, buffered } of highWater) {
    if (messages > bounds.windowMessages) yield `${messages} messages were under way to ${who}`;
    if (bytes > bounds.windowBytes) yield `${bytes} bytes were under way to ${who}`;
    if (buffered > bounds.congestionBytes) yield `a message was written to ${who} behind ${buffered} bytes`;
  }
  for (const [what, count] of Object.entries(residue)) if (count > 0) yield `${count} ${what} were left`;
}
