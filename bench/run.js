// What Usercast costs, beside what it replaces: `npm run bench [-- --only KEY --json FILE]`. bench/README.md says what each case means.
import { writeFileSync } from "node:fs";
import { parseArguments, USAGE } from "./arguments.js";
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
import { reportOf } from "./report.js";

const MODULES = [sending, route, http, catchUp, idle, publish, nodes, crowd];
const FAMILIES = Object.assign({}, ...MODULES.map((module) => module.FAMILIES));

const wanted = parseArguments(process.argv.slice(2), FAMILIES);
if (wanted.help) {
  console.log(USAGE);
  process.exit(0);
}

const began = Date.now();
const settings = {
  repeats: wanted.repeats,
  warmUps: 2,
  sliceMs: wanted.sliceMs,
  tell: (text) => console.error(`${((Date.now() - began) / 1_000).toFixed(0).padStart(4)} s  ${text}`),
};
const result = {
  date: new Date(began).toISOString(),
  machine: machine(),
  versions: versions(),
  repeats: wanted.repeats,
  cases: [],
};
for (const module of MODULES) {
  const families = Object.fromEntries(Object.entries(wanted.families).filter(([name]) => name in module.FAMILIES));
  if (Object.keys(families).length === 0) continue;
  const cases = await module.run(families, settings);
  result.cases.push(...cases.map((one) => ({ about: FAMILIES[one.family].title, ...one })));
}
result.ratios = ratiosOf(result.cases);
result.seconds = Math.round((Date.now() - began) / 1_000);

console.log(reportOf(result));
if (wanted.json !== undefined) writeFileSync(wanted.json, `${JSON.stringify(result, undefined, 2)}\n`);
