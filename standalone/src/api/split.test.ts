import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { splitObject } from "./split.ts";

const codeOf = (text: string): unknown => {
  try {
    splitObject(text, 10);
  } catch (error) {
    return (error as { code?: string }).code ?? "MALFORMED_JSON";
  }
  return undefined;
};

describe("a list is split as it is written", () => {
  test("whatever stands in it, and however it is written", () => {
    fc.assert(
      fc.property(
        fc.array(fc.jsonValue(), { maxLength: 20 }),
        fc.constantFrom(undefined, 1, "\t", " \r\n "),
        fc.nat(25),
        (list, space, limit) => {
          const text = JSON.stringify({ messages: list, other: { a: [1] } }, undefined, space === " \r\n " ? undefined : space);
          const written = space === " \r\n " ? ` \r\n${text.replace("[", " [ ")}\t` : text;
          const { messages, ...others } = splitObject(written, limit);
          expect(messages?.count).toBe(list.length);
          expect(messages?.elements.map((element) => JSON.parse(element))).toEqual(
            JSON.parse(JSON.stringify(list.slice(0, limit))),
          );
          expect(others).toEqual({ other: undefined });
        },
      ),
    );
  });

  test("brackets, commas and quotes inside strings are text", () => {
    const list = ['],[{"', '\\"', "\\", "\\\\", '"', "\\\\\\", "a,b", "\u2028"];
    const { messages } = splitObject(JSON.stringify({ messages: list }), 100);
    expect(messages?.elements.map((element) => JSON.parse(element))).toEqual(list);
  });

  test("a name may be written in disguise", () => {
    expect(Object.keys(splitObject('{"m\\u0065ssages":[], "__proto__":[1]}', 1))).toEqual(["messages", "__proto__"]);
  });

  test("a million of nothing is counted and not kept", () => {
    const { messages } = splitObject(`{"messages":[${"{},".repeat(999_999)}{}]}`, 3);
    expect([messages?.count, messages?.elements]).toEqual([1_000_000, ["{}", "{}", "{}"]]);
  });
});

describe("what is no object of lists", () => {
  test.each([
    "",
    " ",
    "{",
    "[",
    "{]",
    "[}",
    "{}x",
    "{} {}",
    '{"a"}',
    "{a:[]}",
    "{'a':[]}",
    '{"a":[}',
    '{"a":[]',
    '{"a":[]]}',
    '{"a":[] []}',
    '{"a":["]}',
    '{"a":["\\"]}',
    '{"\\x":[]}',
    '{"a":[],}',
    '{"a":[1,]}',
    '{"a":[,1]}',
    '{"a":[1, ,1]}',
    "tru",
    "{,}",
  ])("%j is malformed", (text) => expect(codeOf(text)).toBe("MALFORMED_JSON"));

  test.each(["[]", "[[1],2]", "null", "7", '"text"', " true "])("%j is no object", (text) => {
    expect(codeOf(text)).toBe("INVALID_REQUEST");
  });

  test("a field twice is refused, also in disguise", () => {
    expect(codeOf('{"a":[],"a":[]}')).toBe("INVALID_REQUEST");
    expect(codeOf('{"a":[],"\\u0061":1}')).toBe("INVALID_REQUEST");
  });

  test("text of nothing but backslashes, or of quotes, takes no longer than its length", () => {
    const text = "\\".repeat(2_000_000);
    expect(splitObject(`{"a":["${text}"]}`, 1)["a"]?.count).toBe(1);
    expect(splitObject(`{"a":["${'\\"'.repeat(1_000_000)}"]}`, 1)["a"]?.count).toBe(1);
  });
});
