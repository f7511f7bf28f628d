import type { CursorMove, Entry } from "./ports.ts";
import { added, type OffsetRange, without } from "./ranges.ts";
import { isForOthers } from "./resume.ts";

/** Ranges that wait for the cursor to pass them; beyond it the oldest become one. */
const MAX_RANGES = 64;

/** What a device passes without having been given it: told as missed, or for other devices. Kept until its cursor passes it. */
export interface PassedOver {
  readonly missed?: readonly OffsetRange[];
  readonly skipped?: readonly OffsetRange[];
  /** Where a device began that the store does not know yet: what it passes from there on, it was given. */
  readonly began?: number;
}

const NONE: readonly OffsetRange[] = [];
/** What nearly all connections have, shared by them. */
export const NOTHING_PASSED: PassedOver = {};

/** Both of them. */
export const together = (first: PassedOver, second: PassedOver): PassedOver => ({
  missed: joined(first.missed, second.missed),
  skipped: joined(first.skipped, second.skipped),
  // Of two that began, the one that tells less.
  ...beginning(first.began === undefined ? second.began : Math.max(first.began, second.began ?? 0)),
});

/** With one entry more that a device passes. What is for all but this one, nobody may have had yet. */
export function passing(passed: PassedOver, entry: Entry, device: string): PassedOver {
  const { offset } = entry;
  return isForOthers(entry, device) ? together(passed, { skipped: [{ first: offset, last: offset }] }) : passed;
}

/** As a move names them: what there is none of is left out. */
export const named = ({ missed = NONE, skipped = NONE, began }: PassedOver): Pick<CursorMove, keyof PassedOver> => ({
  ...beginning(began),
  ...(missed.length > 0 && { missed }),
  ...(skipped.length > 0 && { skipped }),
});

/** What lies below a cursor, and what is left above it. */
export function split(passed: PassedOver, through: number): readonly [below: PassedOver, above: PassedOver] {
  const { missed = NONE, skipped = NONE, began } = passed;
  // Most often a device was given everything.
  if (missed.length + skipped.length === 0) return [began === undefined ? NOTHING_PASSED : { began }, NOTHING_PASSED];
  const below = (ranges: readonly OffsetRange[]): readonly OffsetRange[] =>
    without(ranges, { first: through + 1, last: Number.MAX_SAFE_INTEGER });
  const above = (ranges: readonly OffsetRange[]): readonly OffsetRange[] => without(ranges, { first: 0, last: through });
  return [
    { missed: below(missed), skipped: below(skipped), ...beginning(began) },
    { missed: above(missed), skipped: above(skipped) },
  ];
}

const beginning = (began: number | undefined): PassedOver => (began === undefined ? {} : { began });

const joined = (to: readonly OffsetRange[] = NONE, more: readonly OffsetRange[] = NONE): readonly OffsetRange[] =>
  more.reduce((ranges, range) => added(ranges, range, MAX_RANGES), to);
