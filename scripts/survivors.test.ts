import { type ChildProcess, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { afterEach, describe, expect, it } from "vitest";
import { endSurvivors, MARK } from "./survivors.js";

const runs: string[] = [];

/** A child that says it runs, and its own child with it; both live until they are killed or asked to end. */
async function start(id: string): Promise<ChildProcess> {
  runs.push(id);
  const idle = 'process.stdout.write("x"); setInterval(() => {}, 1_000);';
  const parent = `require("node:child_process").spawn(process.execPath, ["-e", ${JSON.stringify(idle)}], { stdio: "inherit" });`;
  const child = spawn(process.execPath, ["-e", parent], {
    env: { ...process.env, [MARK]: id },
    stdio: ["ignore", "pipe", "inherit"],
  });
  await once(child.stdout, "data");
  return child;
}

afterEach(async () => {
  for (const id of runs.splice(0)) await endSurvivors(id, 0);
});

describe.runIf(process.platform === "linux")("the processes of a run", () => {
  it("are found and ended, children of children included", async () => {
    const id = randomUUID();
    const child = await start(id);
    const ended = once(child, "exit");
    const survivors = await endSurvivors(id, 0);
    expect(survivors).toHaveLength(2);
    expect(survivors).toContainEqual({ pid: child.pid, command: expect.stringContaining(process.execPath) });
    await ended;
    expect(await endSurvivors(id)).toEqual([]);
  });

  it("are found when their parent is gone", async () => {
    const id = randomUUID();
    const child = await start(id);
    child.kill("SIGKILL");
    await once(child, "exit");
    expect(await endSurvivors(id, 0)).toHaveLength(1);
  });

  it("are told from those of other runs", async () => {
    const id = randomUUID();
    await start(id);
    expect(await endSurvivors(randomUUID(), 0)).toEqual([]);
    expect(await endSurvivors(id, 0)).toHaveLength(2);
  });

  it("have a moment to end by themselves", async () => {
    const id = randomUUID();
    await start(id);
    const ending = endSurvivors(id, 10_000);
    const [inner] = await endSurvivors(id, 0);
    expect(inner).toBeDefined();
    expect(await ending).toEqual([]);
  });
});
