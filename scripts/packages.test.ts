import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, posix } from "node:path";
import { promisify } from "node:util";
import { isRecord } from "@usercast/protocol";
import { publint } from "publint";
import { formatMessage } from "publint/utils";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { manifests, ROOT } from "./sources.ts";

// What the registry would hand out: every public package is packed as it was built, and installed into an empty folder.

const INSTALL_TIMEOUT_MS = 300_000;
const COMMAND_TIMEOUT_MS = 60_000;
const execute = promisify(execFile);

const packages = manifests()
  .filter(({ folder, manifest }) => folder !== "" && manifest.private !== true)
  .map(({ folder, manifest }) => ({ folder, ...manifest }));
const libraries = packages.filter((manifest) => manifest.exports !== undefined);
const executables = packages.flatMap(({ name, version, bin }) =>
  Object.keys(bin ?? {}).map((command) => ({ name, version, command })),
);

/** Whether an entry point is a module. One without types is a file that a page loads with a script tag. */
const isModule = (conditions: unknown): boolean => isRecord(conditions) && "types" in conditions;

/** What some of the modules need beside them, and applications that use those install. */
const peers = libraries.flatMap(({ peerDependenciesMeta = {}, devDependencies = {} }) =>
  Object.keys(peerDependenciesMeta).map((name) => `${name}@${devDependencies[name]}`),
);

/** What an application writes to import each module. */
const modules = libraries.flatMap(({ name, exports }) =>
  Object.entries(exports ?? {}).flatMap(([path, conditions]) => (isModule(conditions) ? [posix.join(name, path)] : [])),
);

let folder: string;
let app: string;

/** What a command prints. Rejects when it fails, and when it does not end by itself. */
async function outputOf(command: string, args: readonly string[], cwd: string): Promise<string> {
  const { stdout } = await execute(command, args, { cwd, timeout: COMMAND_TIMEOUT_MS, maxBuffer: 16_777_216 });
  return stdout;
}

const tarballOf = (name: string, version = ""): string =>
  join(folder, `${name.replace("@", "").replace("/", "-")}-${version}.tgz`);

/** The names that code run in the empty application sees; `write` makes the code. */
async function namesSeen(type: "module" | "commonjs", code: string): Promise<readonly string[]> {
  const script = `const names = Object.keys(${code}).filter((name) => name !== "__esModule"); console.log(JSON.stringify(names.sort()));`;
  return JSON.parse(await outputOf(process.execPath, [`--input-type=${type}`, "--eval", script], app));
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "usercast-packages-"));
  app = join(folder, "app");
  await mkdir(app);
  await writeFile(join(app, "package.json"), '{ "private": true }');
  const workspaces = packages.map(({ name }) => `--workspace=${name}`);
  await execute("npm", ["pack", "--silent", `--pack-destination=${folder}`, ...workspaces], {
    cwd: ROOT,
    timeout: COMMAND_TIMEOUT_MS,
  });
  const tarballs = packages.map(({ name, version }) => tarballOf(name, version));
  const quietly = ["--prefer-offline", "--no-audit", "--no-fund", "--ignore-scripts", "--no-package-lock", "--silent"];
  await execute("npm", ["install", ...quietly, ...tarballs, ...peers], { cwd: app, timeout: INSTALL_TIMEOUT_MS });
}, INSTALL_TIMEOUT_MS);

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

describe("an application in an empty folder", () => {
  it.each(modules)("imports and requires %s", async (entry) => {
    const imported = await namesSeen("module", `await import(${JSON.stringify(entry)})`);
    const required = await namesSeen("commonjs", `require(${JSON.stringify(entry)})`);
    expect(imported).not.toEqual([]);
    expect(required).toEqual(imported);
  });

  it.each(executables)("runs $command", async ({ command, version }) => {
    const printed = await outputOf(join(app, "node_modules", ".bin", command), ["--version"], app);
    expect(printed.trim()).toBe(version);
  });
});

describe.each(packages)("the package $name", ({ name, version }) => {
  it("is as publint wants it", async () => {
    const { messages, pkg } = await publint({ pkgDir: join(app, "node_modules", name), pack: false, strict: true });
    expect(messages.map((message) => formatMessage(message, pkg, { color: false }))).toEqual([]);
  });

  it("carries no test and no source", async () => {
    const files = await outputOf("tar", ["-tzf", tarballOf(name, version)], ROOT);
    expect(files.split("\n").filter((file) => /\.test\.|\.test-d\.|\/src\/|tsbuildinfo/.test(file))).toEqual([]);
  });
});

it.each(libraries)("the types of $name are found in every way to import it", async ({ name, version, exports }) => {
  const attw = join(ROOT, "node_modules", ".bin", "attw");
  const scripts = Object.keys(exports ?? {}).filter((path) => !isModule(exports?.[path]));
  const excluded = scripts.length > 0 ? ["--exclude-entrypoints", ...scripts] : [];
  const options = ["--profile=esm-only", "--format=ascii", "--no-color", ...excluded];
  const checked = execute(attw, [tarballOf(name, version), ...options], { timeout: COMMAND_TIMEOUT_MS });
  // It fails where it finds something, and then what it printed says what.
  const found = await checked.then(
    () => "",
    ({ stdout }: { stdout: string }) => stdout,
  );
  expect(found).toBe("");
});
