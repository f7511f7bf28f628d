import fc from "fast-check";
import { expect, test } from "vitest";
import { decodeArguments, encodeMessage } from "./encode.ts";

const MAX = 65_536;
const refused = (code: string): object => expect.objectContaining({ code });

test("what is encoded decodes to what JSON would have kept", () => {
  fc.assert(
    fc.property(fc.jsonValue(), (data) => {
      const encoded = encodeMessage("news", data, MAX);
      expect(decodeArguments(encoded)).toEqual(["news", JSON.parse(JSON.stringify(data))]);
      expect(encoded.bytes).toBe(Buffer.byteLength(JSON.stringify(["news", data])) - 2);
    }),
  );
});

test("missing data is null", () => {
  expect(encodeMessage("news", undefined, MAX).text).toBe('"news",null');
});

test("binary parts find their places again, and later writes into the sender's buffer do not show", () => {
  const buffer = Buffer.from([1, 2, 3]);
  const encoded = encodeMessage("file", { a: buffer, b: [new Uint16Array([258]).buffer] }, MAX);
  buffer.fill(0);
  expect(decodeArguments(encoded)).toEqual(["file", { a: new Uint8Array([1, 2, 3]), b: [new Uint8Array([2, 1])] }]);
  expect(encoded.bytes).toBe(Buffer.byteLength(encoded.text) + 5);
});

test("a placeholder of the sender's own beside binary data is refused, because every client would break off on it", () => {
  const binary = Buffer.from([1]);
  for (const forged of [
    { _placeholder: true, num: 7 },
    { num: 0, _placeholder: true },
    { toJSON: () => ({ _placeholder: true, num: -1 }) },
  ]) {
    expect(() => encodeMessage("file", [binary, forged], MAX)).toThrow(refused("INVALID_DATA"));
  }
  // As text it is harmless, with and without binary data.
  expect(decodeArguments(encodeMessage("e", { _placeholder: true, num: 7 }, MAX))[1]).toEqual({ _placeholder: true, num: 7 });
  expect(decodeArguments(encodeMessage("e", [binary, '{"_placeholder":true,"num":7}'], MAX))[1]).toEqual([
    new Uint8Array([1]),
    '{"_placeholder":true,"num":7}',
  ]);
});
