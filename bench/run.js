// What Usercast costs, beside what it replaces: `npm run bench [-- --only KEY --json FILE]`. bench/README.md says what each case means.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArguments, USAGE } from "./arguments.js";
import { chartOf } from "./charts.js";
import * as catchUp from "./families/catch-up.js";
import * as crowd from "./families/crowd.js";
import * as http from "./families/http.js";
import * as idle from "./families/idle.js";
import * as nodes from "./families/nodes.js";
import * as publish from "./families/publish.js";
import * as route from "./families/route.js";
import * as sending from "./families/sending.js";
import { ratiosOf } from "./keys.js";
import { machine, versions } from "./machine.js";
import { byFamily, jsonOf, reportOf, withFigures } from "./report.js";

const MODULES = [sending, route, http, catchUp, idle, publish, nodes, crowd];
const FAMILIES = Object.assign({}, ...MODULES.map((module) => module.FAMILIES));
const README = new URL("README.md", import.meta.url);

const wanted = parseArguments(process.argv.slice(2), FAMILIES);
if (wanted.help) {
  console.log(USAGE);
  process.exit(0);
}

const result = wanted.from === undefined ? await measure() : JSON.parse(readFileSync(wanted.from, "utf8"));
console.log(reportOf(result));
if (wanted.json !== undefined) writeFileSync(wanted.json, jsonOf(result));
if (wanted.charts !== undefined) draw(wanted.charts);
if (wanted.readme) writeFileSync(README, withFigures(readFileSync(README, "utf8"), result.ratios));

/** Everything that was asked for, one family after the other. */
async function measure() {
  const began = Date.now();
  const seconds = () => Math.round((Date.now() - began) / 1_000);
  const { repeats, sliceMs, warmUps } = wanted;
  const settings = {
    repeats,
    sliceMs,
    warmUps,
    profiles: profiles(),
    tell: (text) => console.error(`${String(seconds()).padStart(4)} s  ${text}`),
  };
  const cases = [];
  for (const module of MODULES) {
    const families = Object.fromEntries(Object.entries(wanted.families).filter(([name]) => name in module.FAMILIES));
    if (Object.keys(families).length === 0) continue;
    const measured = await module.run(families, settings);
    cases.push(...measured.map((one) => ({ about: FAMILIES[one.family].title, ...one })));
  }
  const about = { date: new Date(began).toISOString(), machine: machine(), versions: versions() };
  return { ...about, repeats, sliceMs, seconds: seconds(), cases, ratios: ratiosOf(cases) };
}

/** Where profiles are kept, and who is told whose the time was; nothing where they are not wanted. */
function profiles() {
  if (wanted.profile === undefined) return undefined;
  mkdirSync(wanted.profile, { recursive: true });
  const tell = (what, shares) => {
    const told = Object.entries(shares).map(([owner, share]) => `${owner} ${(share * 100).toFixed(1)} %`);
    console.log(`${what}: ${told.join(", ")}`);
  };
  return { folder: wanted.profile, tell };
}

function draw(folder) {
  mkdirSync(folder, { recursive: true });
  for (const [family, cases] of byFamily(result.cases)) {
    const [{ about: title, unit }] = cases;
    writeFileSync(join(folder, `${family}.svg`), chartOf(cases, { title, unit }));
  }
}
