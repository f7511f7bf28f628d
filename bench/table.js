// Figures as text for a terminal.

/**
 * Rows of texts as a table, the first column flush left.
 * @param {readonly (readonly (string | number)[])[]} rows
 */
export function tableOf(rows) {
  const widths = (rows[0] ?? []).map((_, i) => Math.max(...rows.map((row) => String(row[i]).length)));
  const line = (/** @type {readonly (string | number)[]} */ row) =>
    row.map((cell, i) => (i === 0 ? String(cell).padEnd(widths[i] ?? 0) : String(cell).padStart(widths[i] ?? 0))).join("   ");
  return rows.map((row) => line(row).trimEnd()).join("\n");
}

/** @param {readonly (readonly (string | number)[])[]} rows */
export const printTable = (rows) => console.log(tableOf(rows));

/**
 * A figure with as many digits as mean something.
 * @param {number | undefined} number
 */
export function figure(number) {
  if (number === undefined || Number.isNaN(number)) return "–";
  if (Math.abs(number) >= 100) return Math.round(number).toLocaleString("en-US");
  return number.toFixed(Math.abs(number) >= 10 ? 1 : 2);
}

/** @param {number | undefined} share */
export const percent = (share) => (share === undefined ? "–" : `${Math.round(share * 100)} %`);
