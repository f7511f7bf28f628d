import { expect, it } from "vitest";
import { missingEntries } from "./lock.js";

it("adds the packages of other platforms that a lock lacks, and nothing else", () => {
  const entries = {
    "": {},
    "node_modules/tool": {
      dev: true,
      optionalDependencies: {
        "@tool/linux-x64-gnu": "1.0.0",
        "@tool/linux-arm-musleabihf": "1.0.0",
        "@tool/win32-ia32-msvc": "1.0.0",
      },
    },
    "node_modules/@tool/linux-x64-gnu": { version: "1.0.0" },
    "workspace/node_modules/store": { optionalDependencies: { "@store/darwin-arm64": "2.0.0", wheels: "3.0.0" } },
    "workspace/node_modules/@store/darwin-arm64": { version: "2.0.0" },
  };
  expect(missingEntries(entries)).toEqual({
    "node_modules/@tool/linux-arm-musleabihf": {
      version: "1.0.0",
      cpu: ["arm"],
      libc: ["musl"],
      os: ["linux"],
      dev: true,
      optional: true,
    },
    "node_modules/@tool/win32-ia32-msvc": { version: "1.0.0", cpu: ["ia32"], os: ["win32"], dev: true, optional: true },
    "node_modules/wheels": { version: "3.0.0", optional: true },
  });
});
