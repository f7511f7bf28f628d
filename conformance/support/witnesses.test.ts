import { expect, test } from "vitest";
import { brokenPromises, type Handled, type Testimony } from "./witnesses.ts";

const SENT = new Map(["a", "b", "c", "d"].map((data) => [data, { keyed: data !== "d" }]));
const ACCEPTED = new Map([
  ["a", 1],
  ["b", 2],
  ["c", 3],
]);
const PAGE: readonly Handled[] = ["a", "b", "c"].map((data, i) => ({ offset: i + 1, data }));
const [A, B, C] = PAGE as readonly [Handled, Handled, Handled];

const testimony = (parts: Partial<Testimony> & { page?: readonly Handled[]; client?: readonly string[][] }): Testimony => ({
  sent: SENT,
  accepted: ACCEPTED,
  pages: new Map([
    ["honest", PAGE],
    ["page", parts.page ?? PAGE],
  ]),
  plain: new Map([["client", parts.client ?? [["a", "b"], [], ["b", "c"]]]]),
  ...parts,
});

test("what keeps all promises is found to: a message that was never accepted may be kept or not", () => {
  expect(brokenPromises(testimony({}))).toEqual([]);
  const kept = [...PAGE, { offset: 4, data: "d" }];
  const pages = new Map([["page", kept]]);
  expect(brokenPromises(testimony({ pages, client: [["a", "b", "c", "d"]] }))).toEqual([]);
});

test.each<[string, Parameters<typeof testimony>[0]]>([
  ["a message that is lost", { pages: new Map([["page", [A, B]]]), client: [["a", "b"]] }],
  ["a message that is elsewhere", { accepted: new Map([...ACCEPTED, ["a", 2]]) }],
  ["a message nobody sent", { sent: new Map([...SENT].filter(([data]) => data !== "b")) }],
  ["a keyed message that was given up", { accepted: new Map([...ACCEPTED].filter(([data]) => data !== "b")) }],
  ["a page that is given one twice", { page: [A, B, B, C] }],
  ["a page that is given one too late", { page: [A, C, B] }],
  ["a page that is left without the last", { page: [A, B] }],
  ["a page that is given something else", { page: [A, { offset: 2, data: "d" }, C] }],
  ["one message at two places", { pages: new Map([["page", [...PAGE, { offset: 4, data: "a" }]]]) }],
  ["a plain client with a hole", { client: [["a", "c"]] }],
  ["a plain client with a hole between connections", { client: [["a"], ["c"]] }],
  ["a plain client that is given one twice on one connection", { client: [["a", "b", "b", "c"]] }],
  ["a plain client that is left without the last", { client: [["a", "b"]] }],
  ["a plain client that is given something from nowhere", { client: [["a", "b", "x", "c"]] }],
])("%s is found", (_, parts) => {
  expect(brokenPromises(testimony(parts))).not.toEqual([]);
});
