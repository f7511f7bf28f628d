import { describe, expect, it } from "vitest";
import { lastLine, summarise } from "./report.js";

const file = (status: string, ...tests: readonly string[]) => ({
  status,
  assertionResults: tests.map((test) => ({ status: test })),
});
const run = (exitCode: number, ...testResults: readonly ReturnType<typeof file>[]) => summarise({ testResults }, exitCode);

describe("the summary of a run", () => {
  it("counts tests over all files", () => {
    expect(run(1, file("passed", "passed", "passed"), file("failed", "failed", "passed"))).toEqual({
      passed: 3,
      failed: 1,
      skipped: 0,
    });
  });

  it("counts what was not run as skipped", () => {
    expect(run(0, file("passed", "passed", "pending", "skipped", "todo"))).toEqual({ passed: 1, failed: 0, skipped: 3 });
  });

  it("counts a file that could not be loaded", () => {
    expect(run(1, file("passed", "passed"), file("failed"))).toMatchObject({ passed: 1, failed: 1 });
  });

  it("counts a file whose hook failed", () => {
    expect(run(1, file("failed", "passed", "passed"))).toMatchObject({ passed: 2, failed: 1 });
  });

  it("fails for an unhandled error, though every test passed", () => {
    expect(run(1, file("passed", "passed"))).toMatchObject({ passed: 1, failed: 1 });
  });

  it("fails when nothing was run", () => {
    expect(run(0)).toMatchObject({ passed: 0, failed: 1 });
    expect(run(0, file("passed", "skipped"))).toMatchObject({ passed: 0, failed: 1, skipped: 1 });
  });

  it("fails when there is no report", () => {
    expect(summarise(undefined, 0)).toEqual({ passed: 0, failed: 1, skipped: 0 });
  });
});

it("the last line names what was skipped only if something was", () => {
  expect(lastLine({ passed: 2, failed: 0, skipped: 0 })).toBe("2 passed, 0 failed");
  expect(lastLine({ passed: 2, failed: 1, skipped: 3 })).toBe("2 passed, 1 failed, 3 skipped");
});
