import { describe, expect, it } from "vitest";
import { missingEntries } from "./lock.js";
import { manifests, publicOptions, ROOT, read, type Source, sourcesIn, type TextFile, textFiles } from "./sources.ts";

const MAX_LINES = 400;
const MAX_EXAMPLE_LINES = 100;
const MAX_PARAMETERS = 4;

const packages = sourcesIn("protocol/src", "client/src", "server/src", "standalone/src");
const code = packages.filter(({ isTest }) => !isTest);
const everything = [...packages, ...sourcesIn("conformance", "bench", "examples", "scripts", "standalone/pages")];
const library = code.filter(({ path }) => !path.startsWith("standalone/"));

/** Files of more lines than that, to read. */
const longer = (files: readonly TextFile[], most: number): readonly string[] =>
  files
    .map(({ path, text }) => ({ path, lines: text.split("\n").length - 1 }))
    .filter(({ lines }) => lines > most)
    .map(({ path, lines }) => `${path}: ${lines}`);

/** Where `find` hits, as lines to read. */
const places = (sources: readonly Source[], find: (source: Source, hit: (node: { start: number }) => void) => void) =>
  sources.flatMap((source) => {
    const hits: string[] = [];
    find(source, (node) => hits.push(source.at(node)));
    return hits;
  });

describe("sources", () => {
  it(`have at most ${MAX_LINES} lines`, () => {
    expect(longer(everything, MAX_LINES)).toEqual([]);
  });

  it(`have at most ${MAX_EXAMPLE_LINES} lines in examples, pages and tests included`, () => {
    const examples = textFiles().filter(({ path }) => path.startsWith("examples/"));
    expect(examples.map(({ path }) => path)).toContain("examples/seed/server.js");
    expect(longer(examples, MAX_EXAMPLE_LINES)).toEqual([]);
  });

  it("have no file for odds and ends", () => {
    expect(everything.map(({ path }) => path).filter((path) => /\/(?:utils?|helpers?|misc|common)\.[jt]s$/.test(path))).toEqual(
      [],
    );
  });

  it("give up no type", () => {
    expect(places(code, (source, hit) => source.visit({ TSAnyKeyword: hit }))).toEqual([]);
  });

  it("switch no check of the compiler off", () => {
    expect(
      places(everything, (source, hit) => {
        for (const comment of source.comments) if (/@ts-(?:ignore|nocheck)/.test(comment.value)) hit(comment);
      }),
    ).toEqual([]);
  });

  it("have no enums, and no private members but #private ones", () => {
    const isHidden = ({ accessibility }: { accessibility?: string | null }) =>
      accessibility === "private" || accessibility === "protected";
    expect(
      places(everything, (source, hit) =>
        source.visit({
          TSEnumDeclaration: hit,
          PropertyDefinition: (node) => isHidden(node) && hit(node),
          // There is no #constructor.
          MethodDefinition: (node) => isHidden(node) && node.kind !== "constructor" && hit(node),
        }),
      ),
    ).toEqual([]);
  });

  it("have no default exports", () => {
    const isDefault = ({ module }: Source) =>
      module.staticExports.some(({ entries }) => entries.some(({ exportName }) => exportName.kind === "Default"));
    expect(everything.filter(isDefault).map(({ path }) => path)).toEqual([]);
  });

  it(`have functions of at most ${MAX_PARAMETERS} parameters`, () => {
    expect(
      places(code, (source, hit) => {
        const check = (node: { start: number; params: readonly unknown[] }) => node.params.length > MAX_PARAMETERS && hit(node);
        source.visit({ FunctionDeclaration: check, FunctionExpression: check, ArrowFunctionExpression: check });
      }),
    ).toEqual([]);
  });

  it("say of every export what it is", () => {
    expect(
      places(library, (source, hit) => {
        let previous = "";
        for (const node of source.program.body) {
          if (node.type !== "ExportNamedDeclaration" || node.declaration === null) continue;
          const { declaration } = node;
          const name = "id" in declaration && declaration.id?.type === "Identifier" ? declaration.id.name : "";
          // The first of several overloads speaks for all.
          if (!source.isDocumented(node) && (name === "" || name !== previous)) hit(node);
          previous = name;
        }
      }),
    ).toEqual([]);
  });

  it("say of every option what it does", () => {
    const options = publicOptions();
    expect(options.map(({ name }) => name)).toContain("UsercastOptions");
    const silent = options.flatMap(({ source, members }) =>
      members.filter((m) => !source.isDocumented(m)).map((m) => source.at(m)),
    );
    expect(silent).toEqual([]);
  });
});

describe("files", () => {
  // Put together here so that this file is not its own find.
  const mark = new RegExp(`\\b(?:${["TO", "FIX", "XX", "HA"].map((half, i) => half + ["DO", "ME", "X", "CK"][i]).join("|")})\\b`);
  const machine = /(?<![\w.~/-])\/(?:home|Users|builds|work|farm|workspace)\/\w/;
  const find = (pattern: RegExp) =>
    textFiles().flatMap(({ path, text }) =>
      text.split("\n").flatMap((line, i) => (pattern.test(line) ? [`${path}:${i + 1}`] : [])),
    );

  it("have no marks of work left to do", () => {
    expect(find(mark)).toEqual([]);
  });

  it("name no folder of the machine they were written on", () => {
    expect(find(machine)).toEqual([]);
    expect(textFiles().filter(({ text }) => text.includes(ROOT))).toEqual([]);
  });

  it("run every test", () => {
    const tests = everything.filter(({ path }) => /\.test(?:-d)?\.ts$/.test(path));
    expect(
      places(tests, (source, hit) => {
        for (const { index } of source.text.matchAll(/\b(?:it|test|describe)\.(?:only|skip|todo|fails)\b/g))
          hit({ start: index });
      }),
    ).toEqual([]);
  });
});

describe("dependencies", () => {
  it("are pinned to one version", () => {
    const exact = /^(?:npm:(?:@[\w.-]+\/)?[\w.-]+@)?\d+\.\d+\.\d+(?:-[\w.]+)?$/;
    const loose = manifests().flatMap(({ manifest: { name, dependencies, devDependencies, optionalDependencies } }) =>
      Object.entries({ ...dependencies, ...devDependencies, ...optionalDependencies })
        .filter(([, version]) => !exact.test(version))
        .map(([dependency, version]) => `${name}: ${dependency} ${version}`),
    );
    expect(loose).toEqual([]);
  });

  it("come from whatever registry is configured", () => {
    expect(read("package-lock.json")).not.toMatch(/"resolved": "http/);
  });

  it("are locked for every platform, or `node scripts/lock.js` is to be run", () => {
    expect(Object.keys(missingEntries(JSON.parse(read("package-lock.json")).packages))).toEqual([]);
  });

  it("agree between the workspaces", () => {
    const versions = new Map(manifests().map(({ manifest: { name, version } }) => [name, version]));
    const stale = manifests().flatMap(({ manifest: { name, dependencies } }) =>
      Object.entries(dependencies ?? {})
        .filter(([dependency, version]) => versions.has(dependency) && versions.get(dependency) !== version)
        .map(([dependency]) => `${name}: ${dependency}`),
    );
    expect(stale).toEqual([]);
  });
});
