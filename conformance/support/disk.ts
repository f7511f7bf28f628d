import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestServer } from "./server.ts";

// Disks that fail. Some need privileges; limits of a process need none, and look the same to it.

/** A folder for a server's data, and what can be done to it while the server runs. */
export interface Disk {
  readonly dataDir: string;
  /** From now on writes fail: at once, or soon, when what room there is left is used up. */
  fail(server: TestServer): void;
  /** Writes succeed again. */
  recover(server: TestServer): void;
  close(): void;
}

const succeeds = (command: string, ...args: readonly string[]): boolean =>
  spawnSync(command, args, { stdio: "ignore" }).status === 0;

/** Runs a program of the system that must succeed. */
function run(command: string, ...args: readonly string[]): void {
  const { status, stderr, error } = spawnSync(command, args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`${command} ${args.join(" ")} failed: ${error?.message ?? stderr}`);
}

const newFolder = (): string => mkdtempSync(join(tmpdir(), "usercast-disk-"));
const remove = (folder: string): void => rmSync(folder, { recursive: true, force: true });

/** A file system in memory with room for very little. */
function smallDisk(): Disk {
  const dataDir = newFolder();
  run("mount", "-t", "tmpfs", "-o", "size=1536k", "usercast-test", dataDir);
  return {
    dataDir,
    fail: () => {},
    recover: () => run("mount", "-o", "remount,size=64m", dataDir),
    close: () => {
      run("umount", "--lazy", dataDir);
      remove(dataDir);
    },
  };
}

/** A disk on which this process alone can write no further than `bytes` into a file. */
function limitedDisk(bytes: number): Disk {
  const dataDir = newFolder();
  const limit = (server: TestServer, soft: string): void =>
    run("prlimit", "--pid", String(server.pid), `--fsize=${soft}:unlimited`);
  return {
    dataDir,
    fail: (server) => limit(server, String(bytes)),
    recover: (server) => limit(server, "unlimited"),
    close: () => remove(dataDir),
  };
}

/**
 * A store whose open file becomes read-only. Its lock is left alone: it is mapped into memory, and Linux ends a process that
 * writes to the map of a file that became read-only.
 */
function frozenDisk(): Disk {
  const dataDir = newFolder();
  const change = (flag: string): void => run("chattr", flag, join(dataDir, "data.mdb"));
  return {
    dataDir,
    fail: () => change("+i"),
    recover: () => change("-i"),
    close: () => {
      change("-i");
      remove(dataDir);
    },
  };
}

/** Whether `attempt` works on a new folder here. */
function works(attempt: (folder: string) => boolean): boolean {
  const folder = newFolder();
  try {
    return attempt(folder);
  } finally {
    remove(folder);
  }
}

const canMount = works((folder) => succeeds("mount", "-t", "tmpfs", "usercast-test", folder) && succeeds("umount", folder));

const canFreeze = works(
  (folder) => succeeds("chattr", "+i", folder) && !succeeds("touch", join(folder, "x")) && succeeds("chattr", "-i", folder),
);

/** Every way a disk can fail here, by name. The limits work everywhere. */
export const FAILING_DISKS: Readonly<Record<string, () => Disk>> = {
  "is full, by a limit on files": () => limitedDisk(1_048_576),
  "takes nothing more, by a limit on files": () => limitedDisk(1),
  ...(canMount && { "is full": smallDisk }),
  ...(canFreeze && { "becomes read-only": frozenDisk }),
};

/** A folder in which nothing can be made or written, for a server that starts. Who is root may write anywhere but on a mount. */
export function readOnlyFolder(): { readonly dataDir: string; close(): void } {
  const dataDir = newFolder();
  if (canMount) {
    run("mount", "-t", "tmpfs", "-o", "ro", "usercast-test", dataDir);
    return {
      dataDir,
      close: () => {
        run("umount", dataDir);
        remove(dataDir);
      },
    };
  }
  run("chmod", "0555", dataDir);
  return { dataDir, close: () => remove(dataDir) };
}
