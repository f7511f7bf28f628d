import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, posix } from "node:path";
import { fileURLToPath } from "node:url";
import {
  type Comment,
  type EcmaScriptModule,
  type Program,
  parseSync,
  type TSSignature,
  Visitor,
  type VisitorObject,
} from "oxc-parser";

/** The root of the repository. */
export const ROOT = fileURLToPath(new URL("..", import.meta.url));

/** A file of the repository; its path is relative to the root, with slashes on every system. */
export interface TextFile {
  readonly path: string;
  readonly text: string;
}

/** An import or re-export. */
export interface Import {
  /** What was written: a package's name or a relative path. */
  readonly from: string;
  /** The file meant, where it is one of ours; otherwise `from`. */
  readonly target: string;
  /** Whether it is erased by the compiler. */
  readonly typeOnly: boolean;
}

// What is made, not written.
const SKIPPED: ReadonlySet<string> = new Set([".git", "node_modules", "dist", "data", "coverage", "package-lock.json"]);
const TEXT = /(?:\.(?:ts|tsx|js|mjs|cjs|json|md|html|css|yml|yaml|sh|py|txt|svg)|\/run|\/LICENSE|^LICENSE|\.npmrc|\.gitignore)$/;

function walk(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { withFileTypes: true })
    .filter(({ name }) => !SKIPPED.has(name))
    .flatMap((entry) => {
      const path = posix.join(folder, entry.name);
      if (entry.isDirectory()) return walk(path);
      return entry.isFile() ? [path] : [];
    });
}

/** The text of one file. */
export const read = (path: string): string => readFileSync(join(ROOT, path), "utf8");

/** Every text file that somebody wrote. */
export const textFiles = (): readonly TextFile[] =>
  walk("")
    .filter((path) => TEXT.test(path))
    .map((path) => ({ path, text: read(path) }));

/** A parsed source. */
export class Source implements TextFile {
  readonly path: string;
  readonly text: string;
  readonly program: Program;
  readonly comments: readonly Comment[];
  readonly module: EcmaScriptModule;

  constructor(path: string) {
    this.path = path;
    this.text = read(path);
    const { program, comments, module, errors } = parseSync(path, this.text);
    if (errors.length > 0) throw new Error(`${path}: ${errors[0]?.message}`);
    this.program = program;
    this.comments = comments;
    this.module = module;
  }

  get isTest(): boolean {
    return /\.test(?:-d)?\.ts$|\/test\//.test(this.path);
  }

  /** Every import and re-export, dynamic ones included. */
  get imports(): readonly Import[] {
    const { staticImports, staticExports, dynamicImports } = this.module;
    const importOf = (from: string, typeOnly: boolean): Import => ({ from, target: this.#resolve(from), typeOnly });
    return [
      ...staticImports.map(({ moduleRequest, entries }) =>
        importOf(moduleRequest.value, entries.length > 0 && entries.every(({ isType }) => isType)),
      ),
      ...staticExports
        .flatMap(({ entries }) => entries)
        .flatMap(({ moduleRequest, isType }) => (moduleRequest === null ? [] : [importOf(moduleRequest.value, isType)])),
      ...dynamicImports.map(({ moduleRequest: { start, end } }) => importOf(this.text.slice(start + 1, end - 1), false)),
    ];
  }

  /** Where a piece of the syntax tree stands, for people. */
  at(node: { readonly start: number }): string {
    return `${this.path}:${this.text.slice(0, node.start).split("\n").length}`;
  }

  /** Whether a documentation comment stands right before a piece of the syntax tree. */
  isDocumented(node: { readonly start: number }): boolean {
    return this.comments.some(
      ({ type, value, end }) =>
        type === "Block" && value.startsWith("*") && end <= node.start && this.text.slice(end, node.start).trim() === "",
    );
  }

  /** Calls the visitor with the pieces of the syntax tree. */
  visit(visitor: VisitorObject): void {
    new Visitor(visitor).visit(this.program);
  }

  #resolve(from: string): string {
    return from.startsWith(".") ? posix.join(posix.dirname(this.path), from) : from;
  }
}

/** The parsed TypeScript and JavaScript sources below the given folders. */
export const sourcesIn = (...folders: readonly string[]): readonly Source[] =>
  folders
    .flatMap(walk)
    .filter((path) => /\.[jt]s$/.test(path))
    .map((path) => new Source(path));

/** A `package.json`, as far as these tests care. */
export interface Manifest {
  readonly name: string;
  readonly version?: string;
  readonly private?: boolean;
  readonly workspaces?: readonly string[];
  readonly bin?: Readonly<Record<string, string>>;
  readonly exports?: Readonly<Record<string, unknown>>;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
  readonly peerDependenciesMeta?: Readonly<Record<string, { readonly optional?: boolean }>>;
}

/** Every workspace's folder and `package.json`, the root's first. */
export function manifests(): readonly { readonly folder: string; readonly manifest: Manifest }[] {
  const manifestIn = (folder: string) => ({ folder, manifest: JSON.parse(read(posix.join(folder, "package.json"))) as Manifest });
  const root = manifestIn("");
  const folders = (root.manifest.workspaces ?? [])
    .flatMap((pattern) => {
      const parent = pattern.replace(/\/\*$/, "");
      return parent === pattern ? [pattern] : readdirSync(join(ROOT, parent)).map((name) => posix.join(parent, name));
    })
    .filter((folder) => existsSync(join(ROOT, folder, "package.json")));
  return [root, ...folders.map(manifestIn)];
}

/** An interface of options that an application writes: one that a package exports. */
export interface OptionsInterface {
  readonly source: Source;
  readonly name: string;
  readonly members: readonly TSSignature[];
}

/** Every interface `…Options` that an entry point of the library or the SDK exports. */
export function publicOptions(): readonly OptionsInterface[] {
  const sources = sourcesIn("server/src", "client/src");
  const exported = new Set(
    entryPoints().flatMap((path) =>
      (sources.find((source) => source.path === path)?.module.staticExports ?? []).flatMap(({ entries }) =>
        entries.map(({ moduleRequest, localName, importName, exportName }) => {
          const home = moduleRequest === null ? path : posix.join(posix.dirname(path), moduleRequest.value);
          return `${home}#${importName.name ?? localName.name ?? exportName.name}`;
        }),
      ),
    ),
  );
  return sources.flatMap((source) => {
    const found: OptionsInterface[] = [];
    source.visit({
      TSInterfaceDeclaration: ({ id: { name }, body }) => {
        if (name.endsWith("Options") && exported.has(`${source.path}#${name}`)) found.push({ source, name, members: body.body });
      },
    });
    return found;
  });
}

/** The sources of what packages can be imported by. */
const entryPoints = (): readonly string[] =>
  manifests().flatMap(({ folder, manifest }) =>
    Object.values(manifest.exports ?? {}).flatMap((conditions) =>
      [...JSON.stringify(conditions).matchAll(/"\.\/dist\/([^"]+)\.js"/g)].map(([, file]) => `${folder}/src/${file}.ts`),
    ),
  );
