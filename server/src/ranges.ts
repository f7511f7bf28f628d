/** Offsets from `first` through `last`. */
export interface OffsetRange {
  readonly first: number;
  readonly last: number;
}

// Lists of ranges are in order, and neither overlap nor touch. Values in, values out.

/** Whether `offset` is in one of the ranges. */
export const includes = (ranges: readonly OffsetRange[], offset: number): boolean =>
  ranges.some(({ first, last }) => first <= offset && offset <= last);

/** The ranges, with the oldest made one, and what lies between them too, until there are at most `max`. */
export function bounded(ranges: readonly OffsetRange[], max: number): readonly OffsetRange[] {
  const joined = ranges[ranges.length - max];
  const [oldest] = ranges;
  return joined && oldest && ranges.length > max
    ? [{ first: oldest.first, last: joined.last }, ...ranges.slice(ranges.length - max + 1)]
    : ranges;
}

/** The ranges with one more. */
export function added(ranges: readonly OffsetRange[], { first, last }: OffsetRange, max: number): readonly OffsetRange[] {
  if (first > last) return ranges;
  const before = ranges.filter((range) => range.last < first - 1);
  const after = ranges.filter((range) => range.first > last + 1);
  const touched = ranges.slice(before.length, ranges.length - after.length);
  const whole = {
    first: Math.min(first, touched[0]?.first ?? first),
    last: Math.max(last, touched.at(-1)?.last ?? last),
  };
  return bounded([...before, whole, ...after], max);
}

/** The ranges without the offsets from `first` through `last`. */
export const without = (ranges: readonly OffsetRange[], { first, last }: OffsetRange): readonly OffsetRange[] =>
  first > last
    ? ranges
    : ranges.flatMap((range) =>
        [
          { first: range.first, last: Math.min(range.last, first - 1) },
          { first: Math.max(range.first, last + 1), last: range.last },
        ].filter((rest) => rest.first <= rest.last),
      );
