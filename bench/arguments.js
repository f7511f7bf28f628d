// What is asked for on the command line.
import { parseArgs } from "node:util";
import { KEYS, rowsAgainst } from "./keys.js";

export const USAGE = `npm run bench [-- options]
  --only KEY       one figure or one family of cases, or several with commas between them
  --json FILE      writes everything that was measured
  --charts FOLDER  draws a chart of each family
  --profile FOLDER runs each server once more under V8's profiler, says whose the time was, and keeps the profiles
  --readme         puts the figures into the table of bench/README.md
  --from FILE      measures nothing, and takes what a run has written with --json
  --repeats N      how often each row is measured: 5 by default, 9 where a figure is asked for with --only
  --slice-ms N     how long it is at work each time: 200 by default, 300 with --only`;

/** @typedef {{ readonly rows: readonly string[], readonly isExtra?: boolean }} Family a family of cases; an extra one is measured only where it is asked for */

/**
 * @param {readonly string[]} words
 * @param {Readonly<Record<string, Family>>} all the families there are
 * @returns the rows to measure, by family, and how
 */
export function parseArguments(words, all) {
  const { values } = parseArgs({
    args: [...words],
    options: {
      only: { type: "string" },
      json: { type: "string" },
      charts: { type: "string" },
      profile: { type: "string" },
      readme: { type: "boolean", default: false },
      from: { type: "string" },
      repeats: { type: "string" },
      "slice-ms": { type: "string" },
      help: { type: "boolean", default: false },
    },
  });
  const only = values.only?.split(",");
  const isKeys = only?.every((name) => name in KEYS) ?? false;
  const repeats = wholeNumber("--repeats", values.repeats ?? (isKeys ? "9" : "5"));
  const warmUps = isKeys ? 2 : 1;
  const sliceMs = wholeNumber("--slice-ms", values["slice-ms"] ?? (only === undefined ? "200" : "300"));
  const { json, charts, profile, readme, from, help } = values;
  return { families: chosen(only, all), repeats, warmUps, sliceMs, json, charts, profile, readme, from, help };
}

/**
 * @param {readonly string[] | undefined} only
 * @param {Readonly<Record<string, Family>>} all
 */
function chosen(only, all) {
  /** @type {Record<string, readonly string[]>} */
  const families = {};
  for (const name of only ?? Object.keys(all).filter((one) => !all[one]?.isExtra)) {
    const key = KEYS[name];
    if (key !== undefined) {
      const rows = [...(families[key.family] ?? []), ...rowsAgainst(key), key.row];
      // In the order of the family, and each once.
      families[key.family] = (all[key.family]?.rows ?? rows).filter((row) => rows.includes(row));
    } else if (all[name] !== undefined) families[name] = all[name].rows;
    else throw new Error(`${name} is none of ${[...Object.keys(KEYS), ...Object.keys(all)].join(", ")}.`);
  }
  return families;
}

/**
 * @param {string} name
 * @param {string} text
 */
function wholeNumber(name, text) {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new Error(`${name} is a whole number from 1 on.`);
  return Number(text);
}
