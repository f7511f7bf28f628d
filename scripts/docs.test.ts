import { existsSync } from "node:fs";
import { join, posix } from "node:path";
import { ERRORS, EVENTS, REGISTER_EVENT } from "@usercast/protocol";
import { describe, expect, it } from "vitest";
import { envNameOf, flagNameOf, SETTING_NAMES, SETTINGS } from "../standalone/src/settings.ts";
import { publicOptions, ROOT, read, textFiles } from "./sources.ts";

/** A page, or nothing where it is not written yet. */
const page = (path: string): string => (existsSync(join(ROOT, path)) ? read(path) : "");

/** What stands between backticks in a page, by words: `--port N` counts as `--port`. */
const named = (path: string): ReadonlySet<string> =>
  new Set([...page(path).matchAll(/`([^`\n]+)`/g)].flatMap(([, text = ""]) => [text, ...text.split(/[\s=,:()[\]{}|"'?]+/)]));

const missing = (names: readonly string[], path: string): readonly string[] => {
  const known = named(path);
  return names.filter((name) => !known.has(name));
};

/** Every option of the library and the SDK. */
const optionNames = (): readonly string[] =>
  publicOptions().flatMap(({ members }) =>
    members.flatMap((member) =>
      member.type === "TSPropertySignature" && member.key.type === "Identifier" ? [member.key.name] : [],
    ),
  );

describe("docs/errors.md", () => {
  // | `CODE` | 400 | no | … |
  const rows = [...page("docs/errors.md").matchAll(/^\| *`([A-Z_]+)` *\| *(\d{3}) *\| *(yes|no) *\|/gm)].map(
    ([, code, status, retry]) => `${code} ${status} ${retry}`,
  );
  const codes = Object.entries(ERRORS).map(([code, { status, retryable }]) => `${code} ${status} ${retryable ? "yes" : "no"}`);

  it("lists every code with its status and whether a retry can help", () => {
    expect(codes.filter((code) => !rows.includes(code))).toEqual([]);
  });

  it("lists nothing else, and nothing twice", () => {
    expect(rows.filter((row, i) => !codes.includes(row) || rows.indexOf(row) !== i)).toEqual([]);
  });
});

describe("docs/configuration.md", () => {
  const PAGE = "docs/configuration.md";

  it("names every option of the library and the SDK", () => {
    const options = optionNames();
    expect(options).toContain("maxPayloadBytes");
    expect(missing(options, PAGE)).toEqual([]);
  });

  it("names every setting of the executable in its file, its environment and its flags", () => {
    expect(missing(SETTING_NAMES, PAGE)).toEqual([]);
    expect(missing(SETTING_NAMES.map(envNameOf), PAGE)).toEqual([]);
    const flags = SETTING_NAMES.filter((name) => SETTINGS[name].kind === "switch" || SETTINGS[name].placeholder !== undefined);
    expect(missing([...flags.map((name) => `--${flagNameOf(name)}`), "--config", "--user", "--ttl"], PAGE)).toEqual([]);
  });

  it("names no flag and no variable that is not there", () => {
    const known = new Set([...SETTING_NAMES.map(envNameOf), ...SETTING_NAMES.map((name) => `--${flagNameOf(name)}`)]);
    const others = new Set(["--config", "--user", "--ttl", "--version", "--help"]);
    const written = [...named(PAGE)].filter((name) => /^(?:--[a-z]|USERCAST_[A-Z])/.test(name));
    expect(written.filter((name) => !known.has(name) && !others.has(name))).toEqual([]);
  });
});

describe("docs/protocol.md", () => {
  it("names every event of ours", () => {
    expect(missing([...Object.values(EVENTS), REGISTER_EVENT], "docs/protocol.md")).toEqual([]);
  });

  it("names no event that is not there", () => {
    const events: readonly string[] = Object.values(EVENTS);
    const written = [...named("docs/protocol.md")].filter((name) => /^usercast:[a-z]/.test(name));
    expect(written.filter((name) => !events.includes(name))).toEqual([]);
  });
});

describe("ARCHITECTURE.md", () => {
  const PAGE = "ARCHITECTURE.md";
  const table = page(PAGE).split("## What bounds what")[1]?.split("\n## ")[0] ?? "";
  // | What grows | `option`, `another` | … |
  const bounds = [...table.matchAll(/^\|[^|]+\|([^|]+)\|/gm)].map(([, bound]) => bound).join();

  it("names only files that are there", () => {
    const files = textFiles().map(({ path }) => `/${path}`);
    const written = [...named(PAGE)].filter((name) => /^[\w./-]+\.[jt]s$/.test(name));
    expect(written.length).toBeGreaterThan(0);
    expect(written.filter((name) => !files.some((path) => path.endsWith(`/${name}`)))).toEqual([]);
  });

  it("bounds things by options that are there", () => {
    const known = new Set<string>([...optionNames(), ...SETTING_NAMES]);
    const written = [...bounds.matchAll(/`([a-z]+(?:[A-Z][a-z]+)+)`/g)].map(([, name = ""]) => name);
    expect(written.length).toBeGreaterThan(0);
    expect(written.filter((name) => !known.has(name))).toEqual([]);
  });

  it("has a row for every option that bounds something", () => {
    expect(optionNames().filter((name) => /^max[A-Z]/.test(name) && !bounds.includes(`\`${name}\``))).toEqual([]);
  });
});

describe("README.md", () => {
  // | 1. Accepted means kept | … | [contract](…), [kills](…) |
  const guarantees = [...page("README.md").matchAll(/^\| \d+\. (.*?) \|.*\| (.*?) \|$/gm)].map(([, name, heldBy = ""]) => ({
    name,
    tests: [...heldBy.matchAll(/\]\(([^)]+)\)/g)].map(([, path = ""]) => path),
    // A dash stands for what there is no promise of yet.
    isPromised: heldBy !== "–",
  }));

  it("names tests that hold each guarantee", () => {
    expect(guarantees.length).toBeGreaterThan(0);
    const isTest = (path: string) =>
      /\.test\.ts$|^server\/src\/testing\/contract\//.test(path) && /\b(?:it|test\w*)\b/.test(page(path));
    const unheld = guarantees.filter(({ tests, isPromised }) => isPromised && (tests.length === 0 || !tests.every(isTest)));
    expect(unheld).toEqual([]);
  });
});

describe("every page", () => {
  it("is there", () => {
    const pages = ["README", "ARCHITECTURE", "CONTRIBUTING", "CHANGELOG", "docs/protocol", "docs/errors", "docs/configuration"];
    expect([...pages.map((name) => `${name}.md`), "LICENSE"].filter((path) => page(path) === "")).toEqual([]);
  });

  const pages = textFiles().filter(({ path }) => path.endsWith(".md"));
  const links = pages.flatMap(({ path, text }) =>
    [...text.matchAll(/\]\((?!https?:|mailto:)([^)#\s]*)(?:#([^)\s]+))?\)/g)].map(([, link = "", anchor]) => ({
      target: link === "" ? path : posix.join(posix.dirname(path), link),
      written: `${path}: ${link}${anchor === undefined ? "" : `#${anchor}`}`,
      anchor,
    })),
  );

  it("links only to files that are there", () => {
    expect(links.filter(({ target }) => !existsSync(join(ROOT, target))).map(({ written }) => written)).toEqual([]);
  });

  it("links only to headings that are there", () => {
    const anchorOf = (heading: string) =>
      heading
        .toLowerCase()
        .replace(/[^\p{L}\p{N}\s_-]/gu, "")
        .replaceAll(" ", "-");
    const anchorsOf = (path: string) => [...page(path).matchAll(/^#+ (.+)$/gm)].map(([, heading = ""]) => anchorOf(heading));
    const dangling = links.filter(({ target, anchor }) => anchor !== undefined && !anchorsOf(target).includes(anchor));
    expect(dangling.map(({ written }) => written)).toEqual([]);
  });

  it("names only commands that are there", () => {
    const scripts = Object.keys(JSON.parse(read("package.json")).scripts);
    const commands = pages.flatMap(({ path, text }) =>
      [...text.matchAll(/\bnpm run ([\w:]+)/g)].map(([, script = ""]) => ({ path, script })),
    );
    expect(commands.filter(({ script }) => !scripts.includes(script))).toEqual([]);
  });
});
