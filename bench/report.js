// What was measured, for people.
import { KEYS, verdictOf } from "./keys.js";
import { figure, percent, tableOf } from "./table.js";

/**
 * @typedef {object} Measured
 * @property {string} family
 * @property {string} row
 * @property {string} about what the family is, for people
 * @property {string} title
 * @property {string} unit
 * @property {number} median
 * @property {number} p25
 * @property {number} p75
 * @property {string} [client] how its clients speak
 */
/** @typedef {Measured & Readonly<Record<string, any>>} Case a row that was measured, with what is told beside its figure */
/**
 * @typedef {object} Result
 * @property {{ readonly cores: number, readonly cpu: string }} machine
 * @property {Readonly<Record<string, string>>} versions
 * @property {readonly Case[]} cases
 * @property {Readonly<Record<string, number>>} ratios
 */

/**
 * What is told beside the figure of a row, where its family has it.
 * @type {readonly [string, string, (value: number | undefined) => string][]}
 */
const COLUMNS = [
  ["messagesPerSecond", "a second", figure],
  ["serverUtilisation", "server busy", percent],
  ["systemShare", "in system", percent],
  ["clientUtilisation", "clients busy", percent],
  ["p50Micros", "p50 µs", figure],
  ["writtenBytes", "bytes written", figure],
  ["p99Micros", "p99 µs", figure],
  ["p999Micros", "p99.9 µs", figure],
  ["refused", "refused", figure],
  ["heapKiB", "KiB of heap", figure],
  ["loopP99Ms", "loop delay p99 ms", figure],
  ["liveBeforeP99Ms", "live user before, p99 ms", figure],
  ["liveDuringP99Ms", "during, p99 ms", figure],
];

/**
 * The rows of one family, the first of them being what the columns are.
 * @param {readonly Case[]} cases of one family
 */
function rowsOf(cases) {
  const columns = COLUMNS.filter(([name]) => cases.some((row) => row[name] !== undefined));
  const [first] = cases;
  return [
    [first?.about ?? "", "clients", first?.unit ?? "", "p25–p75", "first = 1", ...columns.map(([, header]) => header)],
    ...cases.map((row) => [
      row.title,
      row.client ?? "–",
      figure(row.median),
      `${figure(row.p25)}–${figure(row.p75)}`,
      figure(row.median / (first?.median ?? Number.NaN)),
      ...columns.map(([name, , format]) => format(row[name])),
    ]),
  ];
}

const bounds = (/** @type {import("./keys.js").Key} */ { least, goal, lessIsBetter }) =>
  [least, goal].map((bound) => (lessIsBetter ? `≤ ${bound}` : String(bound)));

/**
 * The keys that were measured, beside what they should be.
 * @param {Readonly<Record<string, number>>} ratios
 */
const ratioRows = (ratios) => [
  ["key", "at least", "goal", "measured", ""],
  ...Object.entries(KEYS).flatMap(([name, key]) => {
    const ratio = ratios[name];
    return ratio === undefined ? [] : [[name, ...bounds(key), ratio.toFixed(2), verdictOf(name, ratio)]];
  }),
];

/**
 * Cases by family, in the order in which they were measured.
 * @param {readonly Case[]} cases
 */
export function byFamily(cases) {
  /** @type {Map<string, Case[]>} */
  const families = new Map();
  for (const one of cases) families.set(one.family, [...(families.get(one.family) ?? []), one]);
  return families;
}

/**
 * A table for each family, and one of the keys.
 * @param {Result} result
 */
export function reportOf({ machine, versions, cases, ratios }) {
  const where = `Node ${versions["node"]}, socket.io ${versions["socket.io"]}, ws ${versions["ws"]}, ${machine.cores} × ${machine.cpu}`;
  const tables = [...byFamily(cases).values()].map((some) => tableOf(rowsOf(some)));
  const keys = Object.keys(ratios).length === 0 ? [] : [tableOf(ratioRows(ratios))];
  return [where, ...tables, ...keys].join("\n\n");
}

/** More digits than that are noise. */
const DIGITS = 5;

/**
 * Everything, to be kept: numbers as far as they mean something, and those of a list on one line.
 * @param {Result} result
 */
export function jsonOf(result) {
  const rounded = (/** @type {string} */ _, /** @type {unknown} */ value) =>
    typeof value === "number" && !Number.isInteger(value) ? Number(value.toPrecision(DIGITS)) : value;
  const json = JSON.stringify(result, rounded, 2);
  return `${json.replace(/\[[\d\s.,e+-]+\]/g, (list) => list.replace(/\s+/g, " ").replace("[ ", "[").replace(" ]", "]"))}\n`;
}

const [TABLE_BEGINS, TABLE_ENDS] = ["<!-- figures -->", "<!-- /figures -->"];

/**
 * A page whose table of keys has these figures; without those that were not measured.
 * @param {string} page
 * @param {Readonly<Record<string, number>>} ratios
 */
export function withFigures(page, ratios) {
  const [before, after] = [page.indexOf(TABLE_BEGINS), page.indexOf(TABLE_ENDS)];
  if (before === -1 || after === -1) throw new Error("The page has no place for the table.");
  const rows = Object.entries(KEYS).map(([name, key]) => {
    const ratio = ratios[name];
    const measured = ratio === undefined ? "–" : `${ratio.toFixed(2)}, ${verdictOf(name, ratio)}`;
    return `| \`${name}\` | ${[key.says, ...bounds(key), measured].join(" | ")} |`;
  });
  const table = ["| Key | Figure | At least | Goal | Measured |", "| --- | --- | --- | --- | --- |", ...rows].join("\n");
  return `${page.slice(0, before + TABLE_BEGINS.length)}\n${table}\n${page.slice(after)}`;
}
