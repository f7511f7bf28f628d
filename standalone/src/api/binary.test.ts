import { expect, test } from "vitest";
import { toJsonData } from "./binary.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

test("data without bytes stays as it is", () => {
  const data = { text: "hi", base64: "aGk=", list: [1, null, { deep: true }] };
  expect(toJsonData(structuredClone(data))).toEqual({ data });
  expect(toJsonData(null)).toEqual({ data: null });
  expect(toJsonData(undefined)).toEqual({ data: null });
});

test("bytes become base64, and their places are told", () => {
  expect(toJsonData(bytes("hi"))).toEqual({ data: { base64: "aGk=" }, binary: [""] });
  expect(toJsonData({ name: "a", parts: [bytes("hi"), { base64: "aGk=" }, bytes("")] })).toEqual({
    data: { name: "a", parts: [{ base64: "aGk=" }, { base64: "aGk=" }, { base64: "" }] },
    binary: ["/parts/0", "/parts/2"],
  });
});

test("only the bytes of a view count, not the buffer behind them", () => {
  expect(toJsonData(bytes("xhix").subarray(1, 3)).data).toEqual({ base64: "aGk=" });
  expect(toJsonData(Buffer.from("hi")).data).toEqual({ base64: "aGk=" });
});

test("names with slashes and tildes, and one that is a trap, are places like any other", () => {
  const data = JSON.parse('{"a/b":{"c~d":0},"__proto__":0,"":0}');
  data["a/b"]["c~d"] = bytes("hi");
  Object.defineProperty(data, "__proto__", { value: bytes("hi"), enumerable: true, configurable: true });
  data[""] = bytes("hi");
  const { data: written, binary } = toJsonData(data);
  expect(binary).toEqual(["/a~1b/c~0d", "/__proto__", "/"]);
  expect(JSON.stringify(written)).toBe('{"a/b":{"c~d":{"base64":"aGk="}},"__proto__":{"base64":"aGk="},"":{"base64":"aGk="}}');
  expect({}).not.toHaveProperty("base64");
});

test("depth is no matter of the stack", () => {
  let data: unknown = bytes("hi");
  for (let i = 0; i < 50_000; i++) data = [data];
  expect(toJsonData(data).binary).toEqual(["/0".repeat(50_000)]);
});
