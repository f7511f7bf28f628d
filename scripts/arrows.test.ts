import { describe, expect, it } from "vitest";
import { type Import, manifests, type Source, sourcesIn } from "./sources.ts";

// Who may import whom. An arrow that is not here is a decision: draw it in ARCHITECTURE.md and here.

/** What the sources of a package may import beside their own files. `node:*` is anything of Node's, `*` any package of others. */
const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  "protocol/src": [],
  "client/src": ["@usercast/protocol", "socket.io-client"],
  "server/src": [
    "@usercast/protocol",
    "node:*",
    "socket.io",
    "socket.io-parser",
    "jose",
    "lmdb",
    "fs-native-extensions",
    "ioredis",
  ],
  "standalone/src": ["@usercast/protocol", "@usercast/server", "@usercast/server/*", "*"],
  conformance: ["@usercast/protocol", "*"],
  bench: ["@usercast/server", "@usercast/server/lmdb", "@usercast/server/redis", "@usercast/client", "*"],
  examples: ["@usercast/server", "@usercast/server/lmdb", "@usercast/client", "*"],
};

/** The files of the server library from the outside in: code may use its own layer and those below it. */
const SERVER_LAYERS: readonly (readonly string[])[] = [
  ["index.ts"],
  ["usercast.ts"],
  ["registration.ts"],
  ["delivery.ts", "nodes.ts", "user-sends.ts", "availability.ts"],
  ["send.ts", "connection.ts", "receipts.ts", "local-presence.ts", "ask.ts", "foreign-questions.ts", "trace.ts"],
  [
    "hub.ts",
    "held-back.ts",
    "start.ts",
    "follower.ts",
    "receipt.ts",
    "frame.ts",
    "target.ts",
    "link.ts",
    "cursors.ts",
    "context.ts",
    "switchboard.ts",
    "question.ts",
    "presence.ts",
  ],
  [
    "engine.ts",
    "inbound.ts",
    "rate.ts",
    "progress.ts",
    "window.ts",
    "heartbeat.ts",
    "read-mark.ts",
    "pushes.ts",
    "passed.ts",
    "turns.ts",
    "place.ts",
  ],
  ["resume.ts", "encode.ts", "events.ts", "pending.ts", "options.ts", "auth/jwt.ts", "auth/keys.ts", "auth/verify.ts"],
  ["clock.ts", "ranges.ts", "sharing.ts"],
  ["ports.ts"],
];

/** The only files that may run code of Socket.IO's; its types may be named anywhere in the server. */
const RUNS_SOCKET_IO: Readonly<Record<string, readonly string[]>> = {
  "socket.io": ["usercast.ts", "registration.ts", "link.ts"],
  "socket.io-parser": ["encode.ts"],
};

/** The drivers of stores, which applications may lack: only their broker may name them. */
const DRIVERS: Readonly<Record<string, readonly string[]>> = {
  lmdb: ["broker/lmdb.ts", "broker/lmdb/*"],
  "fs-native-extensions": ["broker/lmdb/*"],
  ioredis: ["broker/redis.ts", "broker/redis/*"],
};

const matches = (pattern: string, name: string): boolean =>
  pattern.endsWith("*") ? name.startsWith(pattern.slice(0, -1)) : name === pattern;

/** The imports that break a rule, as lines to read. */
const broken = (sources: readonly Source[], allowed: (imported: Import, source: Source) => boolean): readonly string[] =>
  sources.flatMap((source) =>
    source.imports.filter((imported) => !allowed(imported, source)).map(({ from }) => `${source.path} imports ${from}`),
  );

const isOwnFile = ({ from }: Import): boolean => from.startsWith(".");
const isCode = (source: Source): boolean => !source.isTest;

/** The files that come back to themselves by what they import, types aside. */
const circles = (sources: readonly Source[]): readonly string[] => {
  const uses = new Map(sources.map(({ path, imports }) => [path, imports.filter(({ typeOnly }) => !typeOnly)]));
  const reachedFrom = (path: string, reached = new Set<string>()): ReadonlySet<string> => {
    for (const { target } of uses.get(path) ?? []) {
      if (reached.has(target)) continue;
      reached.add(target);
      reachedFrom(target, reached);
    }
    return reached;
  };
  return [...uses.keys()].filter((path) => reachedFrom(path).has(path));
};

describe("between packages", () => {
  it.each(Object.entries(PACKAGES))("%s imports only what it may", (folder, allowed) => {
    const workspaceNames = new Set(manifests().map(({ manifest }) => manifest.name));
    const isOurs = (name: string) => workspaceNames.has(name.split("/", name.startsWith("@") ? 2 : 1).join("/"));
    const mayImport = (name: string) => allowed.some((pattern) => (pattern === "*" ? !isOurs(name) : matches(pattern, name)));
    const sources = sourcesIn(folder).filter(isCode);
    expect(sources.length).toBeGreaterThan(0);
    expect(broken(sources, (imported) => isOwnFile(imported) || mayImport(imported.from))).toEqual([]);
  });

  it("no file reaches into another package by its path", () => {
    const workspaces = manifests().flatMap(({ folder }) => (folder === "" ? [] : [folder]));
    const sources = workspaces.flatMap((folder) => sourcesIn(folder));
    const homeOf = (path: string) => workspaces.find((folder) => path.startsWith(`${folder}/`));
    expect(
      broken(sources, (imported, source) => !isOwnFile(imported) || homeOf(imported.target) === homeOf(source.path)),
    ).toEqual([]);
  });

  it.each(Object.keys(PACKAGES))("nothing in %s runs in circles", (folder) => {
    expect(circles(sourcesIn(folder))).toEqual([]);
  });

  it("only the client dials", () => {
    const sources = sourcesIn("protocol/src", "server/src", "standalone/src").filter(isCode);
    expect(broken(sources, ({ from }) => from !== "socket.io-client")).toEqual([]);
  });
});

describe("inside the server", () => {
  const FOLDER = "server/src/";
  const sources = sourcesIn("server/src").filter(isCode);
  const nameOf = (path: string) => path.slice(FOLDER.length);
  const layerOf = (path: string) => SERVER_LAYERS.findIndex((layer) => layer.includes(nameOf(path)));
  const core = sources.filter(({ path }) => !/^(?:broker|testing)\//.test(nameOf(path)));

  it("every file has its place in the layers", () => {
    expect(core.map(({ path }) => path).filter((path) => layerOf(path) === -1)).toEqual([]);
  });

  it("every place in the layers has its file", () => {
    const names = new Set(sources.map(({ path }) => nameOf(path)));
    expect(SERVER_LAYERS.flat().filter((name) => !names.has(name))).toEqual([]);
  });

  it("code uses its own layer and those below", () => {
    const isInCore = ({ target }: Import) => core.some(({ path }) => path === target);
    expect(
      broken(core, (imported, { path }) => imported.typeOnly || !isInCore(imported) || layerOf(imported.target) >= layerOf(path)),
    ).toEqual([]);
  });

  it("nothing knows the composition root but the list of exports", () => {
    const roots = [`${FOLDER}usercast.ts`, `${FOLDER}index.ts`];
    expect(broken(sources, ({ target }, { path }) => !roots.includes(target) || roots.includes(path))).toEqual([]);
  });

  it("brokers know the ports, the protocol, time, ranges, shared places and their own folder", () => {
    const brokers = sources.filter(({ path }) => path.startsWith(`${FOLDER}broker/`));
    const allowed = [
      `${FOLDER}ports.ts`,
      `${FOLDER}clock.ts`,
      `${FOLDER}ranges.ts`,
      `${FOLDER}sharing.ts`,
      `${FOLDER}broker/*`,
      "@usercast/protocol",
      "node:*",
      "lmdb",
      "fs-native-extensions",
      "ioredis",
    ];
    expect(broken(brokers, ({ target }) => allowed.some((pattern) => matches(pattern, target)))).toEqual([]);
  });

  it.each(Object.entries(DRIVERS))("%s is known only to its own broker", (name, files) => {
    expect(broken(sources, ({ from }, { path }) => from !== name || files.some((file) => matches(file, nameOf(path))))).toEqual(
      [],
    );
  });

  it("the contract suite knows the ports, shared places, the protocol and no test runner", () => {
    const suite = sources.filter(({ path }) => path.startsWith(`${FOLDER}testing/`));
    const allowed = [`${FOLDER}ports.ts`, `${FOLDER}sharing.ts`, `${FOLDER}testing/*`, "@usercast/protocol", "node:*"];
    const settings = `${FOLDER}broker/retention.ts`;
    expect(
      broken(
        suite,
        ({ target, typeOnly }) => allowed.some((pattern) => matches(pattern, target)) || (typeOnly && target === settings),
      ),
    ).toEqual([]);
  });

  it("no broker is known outside but the default one, by the composition root and the list of exports", () => {
    const others = sources.filter(({ path }) => !path.startsWith(`${FOLDER}broker/`));
    const isBroker = ({ target, typeOnly }: Import) => target.startsWith(`${FOLDER}broker/`) && !typeOnly;
    const mayKnow = [`${FOLDER}usercast.ts`, `${FOLDER}index.ts`];
    expect(
      broken(
        others,
        (imported, { path }) =>
          !isBroker(imported) || (imported.target === `${FOLDER}broker/memory.ts` && mayKnow.includes(path)),
      ),
    ).toEqual([]);
  });

  it.each(Object.entries(RUNS_SOCKET_IO))("%s runs only where it must", (name, files) => {
    expect(broken(sources, ({ from, typeOnly }, { path }) => from !== name || typeOnly || files.includes(nameOf(path)))).toEqual(
      [],
    );
  });
});
