// Completes package-lock.json: `node scripts/lock.js` after an `npm install`.
//
// Packages with native parts come in one optional package per platform. Where the registry that was asked does not serve
// some of those, npm leaves them out of the lock without a word, and `npm ci` then refuses the whole file. The entries are
// known without asking: the version is the one their parent pins, and their names say the platform.
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/**
 * @typedef {object} Entry
 * @property {string} [version]
 * @property {readonly string[]} [os]
 * @property {readonly string[]} [cpu]
 * @property {readonly string[]} [libc]
 * @property {boolean} [dev]
 * @property {boolean} [optional]
 * @property {Readonly<Record<string, string>>} [optionalDependencies]
 *
 * @typedef {Record<string, Entry>} Entries what each folder of the lock holds
 */

const SYSTEMS = ["android", "darwin", "freebsd", "linux", "openharmony", "win32"];
const PROCESSORS = ["arm", "arm64", "ia32", "ppc64", "riscv64", "s390x", "x64"];
/** @type {Readonly<Record<string, string>>} */
const LIBRARIES = { gnu: "glibc", gnueabihf: "glibc", musl: "musl", musleabihf: "musl" };

/**
 * The optional packages that a lock should hold and does not.
 * @param {Entries} entries
 * @returns {Entries}
 */
export function missingEntries(entries) {
  /** @type {Entries} */
  const missing = {};
  for (const [folder, { dev, optionalDependencies = {} }] of Object.entries(entries)) {
    for (const [name, version] of Object.entries(optionalDependencies)) {
      if (isThere(entries, folder, name)) continue;
      const { cpu, libc, os } = platformOf(name);
      // In npm's own order, so that its next install finds nothing to rewrite.
      missing[`node_modules/${name}`] = {
        version,
        ...(cpu.length > 0 && { cpu }),
        ...(dev && { dev }),
        ...(libc.length > 0 && { libc }),
        optional: true,
        ...(os.length > 0 && { os }),
      };
    }
  }
  return missing;
}

/**
 * Whether code in a folder finds a package, there or further up.
 * @param {Entries} entries
 * @param {string} folder
 * @param {string} name
 * @returns {boolean}
 */
function isThere(entries, folder, name) {
  if (entries[`${folder === "" ? "" : `${folder}/`}node_modules/${name}`] !== undefined) return true;
  return folder !== "" && isThere(entries, folder.slice(0, Math.max(0, folder.lastIndexOf("/node_modules/"))), name);
}

/** @param {string} name */
function platformOf(name) {
  const words = name.slice(name.indexOf("/") + 1).split("-");
  const cpu = PROCESSORS.filter((one) => words.includes(one));
  const os = SYSTEMS.filter((one) => words.includes(one));
  const libc = Object.entries(LIBRARIES).flatMap(([word, library]) => (words.includes(word) ? [library] : []));
  return { cpu, libc, os };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const file = fileURLToPath(new URL("../package-lock.json", import.meta.url));
  const lock = JSON.parse(readFileSync(file, "utf8"));
  const missing = missingEntries(lock.packages);
  const sorted = Object.entries({ ...lock.packages, ...missing }).sort(([a], [b]) => a.localeCompare(b, "en"));
  writeFileSync(file, `${JSON.stringify({ ...lock, packages: Object.fromEntries(sorted) }, undefined, 2)}\n`);
  console.log(`Added ${Object.keys(missing).length} packages of other platforms to package-lock.json.`);
}
