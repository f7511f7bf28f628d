import { expect, it } from "vitest";
import { clientFrame, FrameReader, serverFrame } from "./frames.js";

const texts = ["2", '42["message","hi"]', "x".repeat(125), "y".repeat(126), "z".repeat(65_535)];
/** Bytes at a time. */
const PIECES = [3, 127, 4_096, 1_000_000];

/** What a reader finds in bytes that come in pieces of this length. */
function read(bytes: Buffer, pieceLength: number): readonly string[] {
  const found: string[] = [];
  const reader = new FrameReader((all, from, to) => found.push(all.toString("latin1", from, to)));
  for (let i = 0; i < bytes.length; i += pieceLength) reader.push(bytes.subarray(i, i + pieceLength));
  return found;
}

it.each(PIECES)("texts are found whole in pieces of %i bytes", (pieceLength) => {
  expect(read(Buffer.concat(texts.map(serverFrame)), pieceLength)).toEqual(texts);
});

it("frames that are not text are left out", () => {
  const close = Buffer.of(0x88, 2, 3, 232);
  expect(read(Buffer.concat([serverFrame("before"), close, serverFrame("after")]), 5)).toEqual(["before", "after"]);
});

it.each(texts)("what a client sends is masked, and is what it was without the mask", (text) => {
  const frame = clientFrame(text);
  const head = text.length < 126 ? 2 : 4;
  expect(frame[1]).toBe(0x80 | Math.min(text.length, 126));
  if (head === 4) expect(frame.readUInt16BE(2)).toBe(text.length);
  const [mask, masked] = [frame.subarray(head, head + 4), frame.subarray(head + 4)];
  expect(masked.length).toBe(text.length);
  expect(Buffer.from(masked.map((byte, i) => byte ^ (mask[i % 4] ?? 0))).toString("latin1")).toBe(text);
});
