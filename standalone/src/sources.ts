import { readFileSync } from "node:fs";
import { UsercastError } from "@usercast/protocol";
import { parse as parseYaml } from "yaml";
import {
  type Command,
  envNameOf,
  flagNameOf,
  SETTING_NAMES,
  SETTINGS,
  type SettingName,
  type Settings,
  settingsSchema,
  valueOfText,
} from "./settings.ts";

/** Where settings come from. */
export interface Sources {
  /** By setting name, as text; switches as `true`. `config` is the path of the file. */
  readonly flags: Readonly<Record<string, unknown>>;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/**
 * Ends the start with everything that is wrong, in one error.
 * @throws UsercastError `INVALID_OPTIONS`
 */
export const refuse = (problems: readonly string[]): never => {
  const [first] = problems;
  throw new UsercastError("INVALID_OPTIONS", problems.length === 1 ? first : `cannot start:\n  - ${problems.join("\n  - ")}`);
};

interface Given {
  readonly value: unknown;
  /** What the person who set it calls it: `--port`, `USERCAST_PORT`, `port in usercast.yaml`. */
  readonly source: string;
}

/** The settings of a command, and by what name those were given that it does not know. */
export interface Gathered {
  readonly settings: Settings;
  readonly ignored: readonly string[];
}

/**
 * Flags over environment over file, each value of the right type.
 * @throws UsercastError `INVALID_OPTIONS`, naming every mistake and where it was made
 */
export function gather(command: Command, sources: Sources): Gathered {
  const problems: string[] = [];
  const given = new Map<SettingName, Given>([
    ...fromFile(sources.flags["config"] ?? (sources.env["USERCAST_CONFIG"] || undefined), problems),
    ...fromEnvironment(sources.env, problems),
    ...fromFlags(sources.flags),
  ]);
  const ignored: string[] = [];
  const values: Record<string, unknown> = {};
  for (const [name, { value, source }] of given) {
    if (SETTINGS[name].commands.includes(command)) values[name] = value;
    else ignored.push(source);
  }
  const parsed = settingsSchema.safeParse(values);
  for (const issue of parsed.error?.issues ?? []) {
    const name = SETTING_NAMES.find((known) => known === issue.path[0]);
    problems.push(`${(name && given.get(name)?.source) ?? "settings"}: ${issue.message}`);
  }
  if (problems.length > 0 || parsed.data === undefined) return refuse(problems);
  return { settings: parsed.data, ignored };
}

function fromFlags(flags: Sources["flags"]): [SettingName, Given][] {
  return SETTING_NAMES.filter((name) => flags[name] !== undefined).map((name) => {
    const value = flags[name];
    return [name, { value: typeof value === "string" ? valueOfText(name, value) : value, source: `--${flagNameOf(name)}` }];
  });
}

function fromEnvironment(env: Sources["env"], problems: string[]): [SettingName, Given][] {
  const names = new Map(SETTING_NAMES.map((name) => [envNameOf(name), name]));
  const given: [SettingName, Given][] = [];
  // An empty variable counts as not set: that is how compose files and shells write "no value".
  if (env["PORT"]) given.push(["port", { value: valueOfText("port", env["PORT"]), source: "PORT" }]);
  for (const [source, value] of Object.entries(env)) {
    if (!source.startsWith("USERCAST_") || source === "USERCAST_CONFIG") continue;
    const name = names.get(source);
    if (name === undefined) problems.push(`${source}: there is no such setting`);
    else if (value) given.push([name, { value: valueOfText(name, value), source }]);
  }
  return given;
}

function fromFile(path: unknown, problems: string[]): [SettingName, Given][] {
  if (typeof path !== "string") return [];
  const text = readText(path, path, problems);
  if (text === undefined) return [];
  let content: unknown;
  try {
    content = parseYaml(text) ?? {};
  } catch (error) {
    problems.push(`${path}: ${error instanceof Error ? error.message.split("\n")[0] : "not valid YAML"}`);
    return [];
  }
  if (typeof content !== "object" || content === null || Array.isArray(content)) {
    problems.push(`${path}: a configuration file is a list of "name: value" lines`);
    return [];
  }
  const given: [SettingName, Given][] = [];
  for (const [key, value] of Object.entries(content)) {
    const name = SETTING_NAMES.find((known) => known === key);
    if (name === undefined) problems.push(`${JSON.stringify(key)} in ${path}: there is no such setting`);
    else if (value !== null) given.push([name, { value, source: `${name} in ${path}` }]);
  }
  return given;
}

/** The text of a file; `undefined`, and a problem more, where it cannot be read. */
export function readText(path: string, source: string, problems: string[]): string | undefined {
  try {
    return readFileSync(path, "utf8").trim();
  } catch (error) {
    const reason = error instanceof Error && "code" in error ? String(error.code) : "unreadable";
    problems.push(`${source}: cannot read ${path} (${reason})`);
    return undefined;
  }
}

type Defined<T> = { [Name in keyof T]?: Exclude<T[Name], undefined> };

/** `values` without what is undefined: the library takes an option that is there as meant. */
export function defined<T extends object>(values: T): Defined<T> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Defined<T>;
}
