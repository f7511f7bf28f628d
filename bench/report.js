// What was measured, for people.
import { KEYS, verdictOf } from "./keys.js";
import { figure, percent, printTable } from "./table.js";

/** A table for each family. */
export function printCases({ machine, versions, cases }, families) {
  console.log(`Node ${versions.node}, socket.io ${versions["socket.io"]}, ${machine.cores} × ${machine.cpu}`);
  for (const name of new Set(cases.map(({ family }) => family))) {
    const rows = cases.filter(({ family }) => family === name);
    console.log("");
    printTable([
      [families[name].title, "clients", rows[0].unit, "p25–p75", "first = 1", "a second", "server", "clients busy", "p50 µs", "KiB heap"],
      ...rows.map((row) => [
        row.title,
        row.client,
        figure(row.median),
        `${figure(row.p25)}–${figure(row.p75)}`,
        figure(row.median / rows[0].median),
        figure(row.messagesPerSecond),
        percent(row.serverUtilisation),
        percent(row.clientUtilisation),
        figure(row.p50Micros),
        figure(row.heapKiB),
      ]),
    ]);
  }
}

/** The keys, beside what they should be. */
export function printRatios({ ratios }) {
  console.log("");
  printTable([
    ["key", "measured", "at least", "goal", ""],
    ...Object.entries(ratios).map(([key, ratio]) => {
      const { least, goal, lessIsBetter } = KEYS[key];
      const sign = lessIsBetter ? "≤ " : "";
      return [key, ratio.toFixed(2), `${sign}${least}`, `${sign}${goal}`, verdictOf(key, ratio)];
    }),
  ]);
}
