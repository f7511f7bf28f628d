// What was measured, for people.
import { KEYS, verdictOf } from "./keys.js";
import { figure, percent, tableOf } from "./table.js";

/** What is told beside the figure of a row, where its family has it. */
const COLUMNS = [
  ["messagesPerSecond", "a second", figure],
  ["serverUtilisation", "server busy", percent],
  ["clientUtilisation", "clients busy", percent],
  ["p50Micros", "p50 µs", figure],
  ["p99Micros", "p99 µs", figure],
  ["p999Micros", "p99.9 µs", figure],
  ["refused", "refused", figure],
  ["heapKiB", "KiB of heap", figure],
  ["loopP99Ms", "loop delay p99 ms", figure],
  ["liveBeforeP99Ms", "live user before, p99 ms", figure],
  ["liveDuringP99Ms", "during, p99 ms", figure],
];

/** The rows of one family, the first line being what the columns are. */
export function rowsOf(cases, title) {
  const columns = COLUMNS.filter(([name]) => cases.some((row) => row[name] !== undefined));
  return [
    [title, "clients", cases[0].unit, "p25–p75", "first = 1", ...columns.map(([, header]) => header)],
    ...cases.map((row) => [
      row.title,
      row.client ?? "–",
      figure(row.median),
      `${figure(row.p25)}–${figure(row.p75)}`,
      figure(row.median / cases[0].median),
      ...columns.map(([name, , format]) => format(row[name])),
    ]),
  ];
}

/** The keys that were measured, beside what they should be. */
export const ratioRows = (ratios) => [
  ["key", "at least", "goal", "measured", ""],
  ...Object.entries(ratios).map(([key, ratio]) => {
    const { least, goal, lessIsBetter } = KEYS[key];
    const sign = lessIsBetter ? "≤ " : "";
    return [key, `${sign}${least}`, `${sign}${goal}`, ratio.toFixed(2), verdictOf(key, ratio)];
  }),
];

/** Cases by family, in the order in which they were measured. */
export function byFamily(cases) {
  const families = new Map();
  for (const one of cases) families.set(one.family, [...(families.get(one.family) ?? []), one]);
  return families;
}

const environment = ({ machine, versions }) =>
  `Node ${versions.node}, socket.io ${versions["socket.io"]}, ws ${versions.ws}, ${machine.cores} × ${machine.cpu}`;

/** A table for each family, and one of the keys. */
export function reportOf(result) {
  const tables = [...byFamily(result.cases).values()].map((cases) => tableOf(rowsOf(cases, cases[0].about)));
  const keys = Object.keys(result.ratios).length === 0 ? [] : [tableOf(ratioRows(result.ratios))];
  return [environment(result), ...tables, ...keys].join("\n\n");
}
