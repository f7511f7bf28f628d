import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { lmdb } from "../../src/broker/lmdb.ts";
import { Publisher } from "./child.ts";

let path: string;
let publisher: Publisher | undefined;

beforeEach(() => {
  path = mkdtempSync(join(tmpdir(), "usercast-full-"));
});

afterEach(async () => {
  await publisher?.kill();
  rmSync(path, { recursive: true, force: true });
});

// A limit on the size of files is a full disk that needs no privileges: writes over it fail, for this process alone.
it.runIf(process.platform === "linux")(
  "tells senders when the disk is full, lives on, and takes messages when there is room again",
  async () => {
    const full = new Publisher(path, 20, "ulimit -S -f 1024;"); // KiB
    publisher = full;
    await full.until(() => full.failures.length > 100);
    const before = full.accepted.length;
    expect(before).toBeGreaterThan(100);
    expect(new Set(full.failures)).toEqual(new Set(["STORE_FAILED"]));

    execFileSync("prlimit", ["--pid", String(full.process.pid), "--fsize=unlimited"]);
    await full.until(() => full.accepted.length > before + 500);
    await full.kill();

    const broker = await lmdb({ path });
    for (const userId of new Set(full.accepted.map((one) => one.userId))) {
      const { head } = await broker.position(userId);
      const offsets = full.accepted.filter((one) => one.userId === userId).map(({ offset }) => offset);
      // Every offset up to the head was told, but for those on their way at the kill: failures used none up.
      expect(offsets).toEqual(offsets.map((_, index) => index + 1));
      expect(head.offset - offsets.length).toBeLessThanOrEqual(4);
    }
    await broker.close();
  },
);
