// Bars of one family of cases, as SVG for light and dark pages.
import { figure } from "./table.js";

const WIDTH = 860;
const BAR_HEIGHT = 20;
const GAP = 8;
const TOP = 44;
const LABELS = 340;
const FIGURES = 90;
const BARS = WIDTH - LABELS - FIGURES;

const STYLE = `
    text { font: 13px system-ui, sans-serif; fill: #24292f }
    .title { font-weight: 600; font-size: 14px }
    .unit { fill: #57606a; font-size: 12px }
    .ours { fill: #1f6feb }
    .theirs { fill: #8c959f }
    .spread { stroke: #24292f; stroke-width: 1.5 }
    @media (prefers-color-scheme: dark) {
      text { fill: #e6edf3 }
      .unit { fill: #8d96a0 }
      .ours { fill: #58a6ff }
      .theirs { fill: #6e7681 }
      .spread { stroke: #e6edf3 }
    }`;

/** @param {string} text */
const escaped = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");

/**
 * @typedef {object} Bar
 * @property {string} title
 * @property {number} median
 * @property {number} p25
 * @property {number} p75
 * @property {string} [client] how its clients speak
 * @property {boolean} [isOurs]
 */

/**
 * A bar for the median of each case, with a line between its quartiles.
 * @param {readonly Bar[]} cases
 * @param {{ readonly title: string, readonly unit: string }} about
 */
export function chartOf(cases, { title, unit }) {
  const most = Math.max(...cases.map(({ p75 }) => p75));
  const x = (/** @type {number} */ value) => (LABELS + (value / most) * BARS).toFixed(1);
  const height = TOP + cases.length * (BAR_HEIGHT + GAP) + GAP;
  const bars = cases.map((one, i) => {
    const y = TOP + i * (BAR_HEIGHT + GAP);
    const middle = y + BAR_HEIGHT / 2;
    const text = y + BAR_HEIGHT - 5;
    const label = one.client === undefined ? one.title : `${one.title} (${one.client})`;
    return [
      `  <text x="${LABELS - 8}" y="${text}" text-anchor="end">${escaped(label)}</text>`,
      `  <rect class="${one.isOurs ? "ours" : "theirs"}" x="${LABELS}" y="${y}" width="${(Number(x(one.median)) - LABELS).toFixed(1)}" height="${BAR_HEIGHT}"/>`,
      `  <line class="spread" x1="${x(one.p25)}" y1="${middle}" x2="${x(one.p75)}" y2="${middle}"/>`,
      `  <text x="${WIDTH - 8}" y="${text}" text-anchor="end">${figure(one.median)}</text>`,
    ].join("\n");
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-label="${escaped(title)}">`,
    `  <title>${escaped(title)}</title>`,
    `  <style>${STYLE}\n  </style>`,
    `  <text class="title" x="8" y="20">${escaped(title)}</text>`,
    `  <text class="unit" x="${WIDTH - 8}" y="20" text-anchor="end">${escaped(unit)}</text>`,
    ...bars,
    "</svg>",
    "",
  ].join("\n");
}
