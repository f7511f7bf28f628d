import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";
import { MEASURED } from "./scripts/coverage.js";

const source = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

// Tests of the packages run on their sources; tests that start real processes run on what was built.
const alias = {
  "@usercast/protocol": source("protocol/src/index.ts"),
  // For the simulation, which runs the SDK's own parts: it takes socket, clock and storage as parameters, and that is not exported.
  "@usercast/client/src": source("client/src"),
  "@usercast/client": source("client/src/index.ts"),
  "@usercast/server/lmdb": source("server/src/broker/lmdb.ts"),
  "@usercast/server/testing": source("server/src/testing/contract.ts"),
  "@usercast/server": source("server/src/index.ts"),
};

export default defineConfig({
  resolve: { alias },
  test: {
    testTimeout: 20_000,
    hookTimeout: 20_000,
    setupFiles: [source("scripts/leaks.ts")],
    coverage: {
      include: MEASURED.map((folder) => `${folder}/**/*.ts`),
      // The contract that brokers keep is made of tests, and a declaration has no lines to run.
      exclude: ["server/src/testing/**", "**/*.test-d.ts", "**/*.d.ts"],
      reporter: ["text", "json-summary"],
      skipFull: true,
    },
    projects: [
      {
        extends: true,
        test: {
          name: "core",
          sequence: { groupOrder: 0 },
          include: ["{protocol,client,server,standalone}/{src,test}/**/*.test.ts"],
        },
      },
      {
        extends: true,
        test: {
          name: "conformance",
          include: ["conformance/**/*.test.ts", "examples/**/*.test.ts"],
          testTimeout: 120_000,
          fileParallelism: false,
          // With the machine to themselves: what they wait for is other processes.
          sequence: { groupOrder: 1 },
        },
      },
      {
        extends: true,
        test: { name: "scripts", include: ["scripts/**/*.test.ts"], testTimeout: 120_000, sequence: { groupOrder: 2 } },
      },
    ],
  },
});
