import { closeSync, existsSync, mkdirSync, openSync, readSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { UsercastError } from "@usercast/protocol";
import { tryLock } from "fs-native-extensions";

/** Folders that brokers of this process hold: a lock of the kernel's need not keep out the process that has it. */
const held = new Set<string>();

/** Room the store needs to come up: LMDB maps its reader table for writing, and a full disk there ends the process. */
const PROBE_BYTES = 65_536;

/** How much of a file shows what it is. */
const HEADER_WORDS = 16;
const LMDB_MAGIC = 0xbeefc0de;
const LMDB_VERSION = 2;

/** A data folder that this broker alone may use. */
export interface Folder {
  readonly path: string;
  release(): void;
}

/**
 * Creates the folder where it is missing, and takes it for this broker. The lock is one of the kernel's on an open
 * file: it goes with the process however the process ends, so none is left behind.
 * @throws UsercastError `STORE_LOCKED`, `STORE_FORMAT` or `STORE_FAILED`
 */
export function holdFolder(path: string): Folder {
  return orFail(`The data folder ${path} cannot be used`, () => {
    makeFolder(resolve(path));
    const folder = realpathSync(path);
    if (held.has(folder)) throw new UsercastError("STORE_LOCKED", `This process already uses the data folder ${path}.`);
    const fd = openSync(join(folder, "lock"), "a");
    try {
      if (!tryLock(fd)) throw new UsercastError("STORE_LOCKED", `Another process holds the data folder ${path}.`);
      probe(folder);
    } catch (error) {
      closeSync(fd);
      throw error;
    }
    held.add(folder);
    return {
      path: folder,
      release: () => {
        held.delete(folder);
        closeSync(fd);
      },
    };
  });
}

/** Level by level, because Node's own recursion never ends where a parent exists and refuses children (under /proc, say). */
function makeFolder(path: string): void {
  if (existsSync(path)) return;
  makeFolder(dirname(path));
  mkdirSync(path);
}

/**
 * Makes sure that LMDB can open what is there. It ends the process with a segmentation fault where it cannot, so nothing
 * may be left for it to find out.
 */
function probe(folder: string): void {
  for (const name of ["data.mdb", "lock.mdb"]) {
    const file = join(folder, name);
    if (!existsSync(file)) continue;
    const fd = openSync(file, "r+");
    try {
      const start = new Uint32Array(HEADER_WORDS);
      const bytes = readSync(fd, start);
      if (name === "data.mdb" && bytes > 0 && !isLmdb(start)) {
        throw new UsercastError("STORE_FORMAT", `The file ${file} is not a store of Usercast's.`);
      }
    } finally {
      closeSync(fd);
    }
  }
  checkSpace(folder);
}

/** Whether a file begins with LMDB's header: its magic number and the version of its format after the page's own header. */
function isLmdb(start: Uint32Array): boolean {
  const magic = start.indexOf(LMDB_MAGIC);
  return magic >= 0 && start[magic + 1] === LMDB_VERSION;
}

function checkSpace(folder: string): void {
  const file = join(folder, "probe");
  try {
    writeFileSync(file, new Uint8Array(PROBE_BYTES), { flush: true });
  } finally {
    rmSync(file, { force: true });
  }
}

/** Runs `open`; what is none of our errors becomes `STORE_FAILED` with a sentence that says what was tried. */
export function orFail<T>(what: string, open: () => T): T {
  try {
    return open();
  } catch (error) {
    if (error instanceof UsercastError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new UsercastError("STORE_FAILED", `${what}: ${reason}`, { cause: error });
  }
}
