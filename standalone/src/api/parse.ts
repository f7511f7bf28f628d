import { UsercastError } from "@usercast/protocol";
import { z } from "zod";

/** What a JSON Schema says of a value, as far as a document about the API needs it. */
export type JsonSchema = Readonly<Record<string, unknown>>;

/** Names of unknown fields that an error quotes, at most, and characters of each. */
const MAX_QUOTED = 5;
const MAX_QUOTED_LENGTH = 64;

/**
 * A schema around one of the protocol's guards, so that what is refused keeps the guard's own code. A guard is a function and
 * says nothing of itself: `json` is what the document says of the values it takes.
 */
export const guarded = <T>(guard: (value: unknown) => T, json: JsonSchema) =>
  z
    .unknown()
    .transform((value, context) => {
      try {
        return guard(value);
      } catch (error) {
        const known = UsercastError.from(error);
        context.issues.push({ code: "custom", message: known.message, input: value, params: { error: known } });
        return z.NEVER;
      }
    })
    .meta(json);

/** What the thing that is parsed, and a part of it, are called in an error. */
export interface Words {
  readonly whole: string;
  readonly part: string;
}

/**
 * `value` as the schema takes it.
 * @throws UsercastError `INVALID_REQUEST`, naming everything that has the wrong form; otherwise what the first guard says
 */
export function parseAs<Schema extends z.ZodType>(schema: Schema, value: unknown, words: Words): z.output<Schema> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const { issues } = parsed.error;
  const problems = issues.filter((issue) => guardErrorOf(issue) === undefined);
  if (problems.length > 0) {
    throw new UsercastError("INVALID_REQUEST", `${problems.map((issue) => sentenceOf(issue, words)).join("; ")}.`);
  }
  throw guardErrorOf(issues[0]) ?? new UsercastError("INVALID_REQUEST");
}

type Issue = z.core.$ZodIssue;

function guardErrorOf(issue: Issue | undefined): UsercastError | undefined {
  const error: unknown = issue?.code === "custom" ? issue.params?.["error"] : undefined;
  return error instanceof UsercastError ? error : undefined;
}

function sentenceOf(issue: Issue, { whole, part }: Words): string {
  if (issue.code === "unrecognized_keys") return `unknown ${part}s ${quoted(issue.keys)}`;
  const name = issue.path.join(".");
  if (name === "") return `${whole} must be an object`;
  if (issue.code === "invalid_type" && (issue.expected as string) === "nonoptional") {
    return `the ${part} "${name}" is missing${name === "data" ? "; null is a value too" : ""}`;
  }
  return `${name}: ${issue.message}`;
}

/** Names as their writer will know them again; not a megabyte of them. */
function quoted(names: readonly string[]): string {
  const shown = JSON.stringify(names.slice(0, MAX_QUOTED).map((name) => name.slice(0, MAX_QUOTED_LENGTH)));
  return names.length > MAX_QUOTED ? `${shown} and ${names.length - MAX_QUOTED} more` : shown;
}
