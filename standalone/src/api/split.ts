import { UsercastError } from "@usercast/protocol";

/**
 * A JSON list whose elements are text yet. Of a batch, only as much is read at once as one send may hold: sixteen megabytes of
 * `{},{},{}` as values would take a hundred times their own size, and hold everybody up while they are made.
 */
export interface UnreadList {
  /** How many elements there are. */
  readonly count: number;
  /** The first of them, as many as were asked for. */
  readonly elements: readonly string[];
}

interface Parts extends UnreadList {
  /** The place after the closing bracket. */
  readonly end: number;
}

const BLANK = /^[ \t\n\r]*$/;
const NAME = /^[ \t\n\r]*("(?:[^"\\]|\\.)*")[ \t\n\r]*:[ \t\n\r]*/s;
/** Fields of an object that are looked at: one that has more has something unknown among them. */
const MAX_FIELDS = 16;

const QUOTE = 0x22;
const COMMA = 0x2c;
const BACKSLASH = 0x5c;
const OPEN_LIST = 0x5b;
const CLOSE_LIST = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

/**
 * The fields of a JSON object: lists as `UnreadList`s with `maxElements` elements, other values not at all (they are
 * `undefined`). Brackets and strings are found to be in order; what is between them is for whoever reads the elements.
 * @throws UsercastError `MALFORMED_JSON`; `INVALID_REQUEST` for what is no object, or has a field twice
 */
export function splitObject(text: string, maxElements: number): Readonly<Record<string, UnreadList | undefined>> {
  const start = text.search(/[^ \t\n\r]/);
  const first = text.charCodeAt(start);
  if (first !== OPEN_OBJECT) {
    if (first === OPEN_LIST) partsOf(text, start, 0);
    else JSON.parse(text);
    throw new UsercastError("INVALID_REQUEST", "the body must be an object.");
  }
  const { elements: fields, end } = partsOf(text, start, MAX_FIELDS);
  if (!BLANK.test(text.slice(end))) throw new UsercastError("MALFORMED_JSON");
  const found = new Map<string, UnreadList | undefined>();
  for (const field of fields) {
    const [before, quoted] = NAME.exec(field) ?? [];
    if (before === undefined || quoted === undefined) throw new UsercastError("MALFORMED_JSON");
    const name: string = JSON.parse(quoted);
    if (found.has(name)) throw new UsercastError("INVALID_REQUEST", "A field of the body is given more than once.");
    found.set(name, field.charCodeAt(before.length) === OPEN_LIST ? listOf(field, before.length, maxElements) : undefined);
  }
  return Object.fromEntries(found);
}

function listOf(text: string, start: number, maxElements: number): UnreadList {
  const { count, elements, end } = partsOf(text, start, maxElements);
  if (!BLANK.test(text.slice(end))) throw new UsercastError("MALFORMED_JSON");
  return { count, elements };
}

/** What stands between the commas of the list or object that begins at `start`. */
function partsOf(text: string, start: number, maxElements: number): Parts {
  const elements: string[] = [];
  let count = 0;
  let depth = 0;
  let from = start + 1;
  const take = (to: number): void => {
    count += 1;
    if (elements.length < maxElements) {
      const element = text.slice(from, to);
      if (BLANK.test(element)) throw new UsercastError("MALFORMED_JSON");
      elements.push(element);
    }
    from = to + 1;
  };
  for (let at = start; at < text.length; at++) {
    switch (text.charCodeAt(at)) {
      case QUOTE:
        at = endOfString(text, at);
        break;
      case OPEN_LIST:
      case OPEN_OBJECT:
        depth += 1;
        break;
      case COMMA:
        if (depth === 1) take(at);
        break;
      case CLOSE_LIST:
      case CLOSE_OBJECT:
        depth -= 1;
        if (depth > 0) break;
        if (text.charCodeAt(at) !== text.charCodeAt(start) + 2) throw new UsercastError("MALFORMED_JSON");
        if (count > 0 || !BLANK.test(text.slice(from, at))) take(at);
        return { count, elements, end: at + 1 };
    }
  }
  throw new UsercastError("MALFORMED_JSON");
}

/** The place of the quote that ends the string which begins at `start`. */
function endOfString(text: string, start: number): number {
  for (let at = text.indexOf('"', start + 1); at !== -1; at = text.indexOf('"', at + 1)) {
    let before = at - 1;
    while (text.charCodeAt(before) === BACKSLASH) before -= 1;
    if ((at - before) % 2 === 1) return at;
  }
  throw new UsercastError("MALFORMED_JSON");
}
