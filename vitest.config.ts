import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";
import { MEASURED, UNMEASURED } from "./scripts/coverage.js";

const source = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

// Tests of the packages run on their sources; tests that start real processes run on what was built.
const alias = {
  "@usercast/protocol": source("protocol/src/index.ts"),
  // For the simulation, which runs the SDK's own parts: it takes socket, clock and storage as parameters, and that is not exported.
  "@usercast/client/src": source("client/src"),
  "@usercast/client": source("client/src/index.ts"),
  "@usercast/server/lmdb": source("server/src/broker/lmdb.ts"),
  "@usercast/server/redis": source("server/src/broker/redis.ts"),
  "@usercast/server/testing": source("server/src/testing/contract.ts"),
  "@usercast/server": source("server/src/index.ts"),
};

/** What needs a Redis server, which `--core` does without. */
const REDIS_TESTS = [
  "server/src/broker/redis.test.ts",
  "server/{src/broker,test}/redis/**/*.test.ts",
  "server/test/nodes/**/*.test.ts",
];

export default defineConfig({
  resolve: { alias },
  test: {
    testTimeout: 20_000,
    hookTimeout: 20_000,
    setupFiles: [source("scripts/leaks.ts")],
    coverage: {
      include: MEASURED.map((folder) => `${folder}/**/*.ts`),
      exclude: [...UNMEASURED],
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
          exclude: [...REDIS_TESTS, "**/node_modules/**"],
        },
      },
      {
        extends: true,
        test: {
          name: "redis",
          include: [...REDIS_TESTS],
          // Each file starts servers of its own, which wait for a disk and for each other.
          testTimeout: 60_000,
          hookTimeout: 60_000,
          sequence: { groupOrder: 0 },
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
        test: { name: "scripts", include: ["{scripts,bench}/**/*.test.ts"], testTimeout: 120_000, sequence: { groupOrder: 2 } },
      },
    ],
  },
});
