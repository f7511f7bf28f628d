import { expect, test } from "vitest";
import { brokenAfterLoss, type Remains } from "./after-loss.ts";

const missed = { missed: { after: 3, before: 3, reason: "rewound" } };
/** "c" was accepted at 3 and lost; "d" has its place now. */
const HONEST = [
  { offset: 1, data: "a" },
  { offset: 2, data: "b" },
  { offset: 3, data: "c" },
  missed,
  { offset: 3, data: "d" },
] as const;
const [A, B, C, , D] = HONEST;

const remains = ({
  page = HONEST,
  client = [["a", "b", "c"], ["d"]],
}: {
  page?: readonly (typeof HONEST)[number][];
  client?: string[][];
}): Remains => ({
  accepted: new Set(["a", "b", "c", "d"]),
  log: ["a", "b", "d"],
  pages: new Map([["page", page]]),
  plain: new Map([["client", client]]),
});

test("what keeps all promises is found to: it was given what was lost and told, or never given it", () => {
  expect(brokenAfterLoss(remains({ page: [A, B, C, missed, B, D] }))).toEqual([]);
  expect(brokenAfterLoss(remains({}))).toEqual([]);
  expect(
    brokenAfterLoss(
      remains({
        page: [A, B, D],
        client: [
          ["a", "b"],
          ["b", "d"],
        ],
      }),
    ),
  ).toEqual([]);
});

test.each<[string, Parameters<typeof remains>[0]]>([
  ["a page that is not told", { page: [A, B, C, D] }],
  ["a page that is given one twice", { page: [A, A, B, C, missed, D] }],
  ["a page that is given one twice when it is told", { page: [A, B, C, missed, B, B, D] }],
  ["a page that is not given what came under a known offset", { page: [A, B, C, missed] }],
  ["a page that is given one too late", { page: [B, A, D] }],
  ["a plain client that is not given what came under a known offset", { client: [["a", "b", "c"]] }],
  ["a plain client with a hole", { client: [["a", "d"], ["b"]] }],
])("%s is found", (_, parts) => {
  expect(brokenAfterLoss(remains(parts))).not.toEqual([]);
});

test("a log that holds one twice is found", () => {
  expect(brokenAfterLoss({ ...remains({ page: [A, B, D], client: [["a", "b", "d"]] }), log: ["a", "b", "d", "b"] })).not.toEqual(
    [],
  );
});
