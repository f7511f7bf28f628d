import { EVENTS, type Question } from "@usercast/protocol";
import { expect, test } from "vitest";
import { bystander } from "../support/bystander.ts";
import { describeUser } from "../support/http.ts";
import { shared } from "../support/owned.ts";
import type { RawWebSocket } from "../support/raw-websocket.ts";
import { TestServer } from "../support/server.ts";
import { until } from "../support/wait.ts";
import { wireClient } from "../support/wire-client.ts";

// Answers to questions that were never asked, that were answered already, or whose time is over; and answers that are none.

const server = shared(() => TestServer.start());

let users = 0;
const newUser = (): string => `answers${++users}`;

/** What became of a question asked over HTTP. */
interface Asked {
  readonly status: number;
  readonly data?: unknown;
  readonly answers?: readonly { readonly device: string; readonly data: unknown }[];
  readonly silent?: readonly { readonly device: string; readonly code: string }[];
  readonly error?: { readonly code: string };
}

async function ask(user: string, fields: object = {}): Promise<Asked> {
  const response = await fetch(`${server().url}/v1/users/${user}/questions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ event: "confirm", data: "really?", ...fields }),
  });
  return { status: response.status, ...((await response.json()) as object) };
}

/** A question as it came: the number its acknowledgement bears, and its own id. */
interface Received {
  readonly number: string;
  readonly id: string;
}

async function nextQuestion(raw: RawWebSocket): Promise<Received> {
  const packet = await raw.next((text) => /^42\d+\[/.test(text));
  const args = JSON.parse(packet.slice(packet.indexOf("["))) as unknown[];
  return { number: /^42(\d+)/.exec(packet)?.[1] ?? "", id: (args[2] as Question | undefined)?.id ?? "" };
}

const answered = (number: string, answer: unknown): string => `43${number}[${JSON.stringify(answer)}]`;
const good = (data: unknown): object => ({ ok: true, data });

const isOnline = async (user: string): Promise<boolean> => (await describeUser(server(), user)).online;

test("answers to questions that were never asked are nobody's", async () => {
  const calm = await bystander(server());
  const user = newUser();
  const raw = await wireClient(server(), user, "laptop");
  const other = await wireClient(server(), user, "phone");
  for (const number of ["0", "1", "2", "17", "4294967296"]) raw.send(answered(number, good("nobody asked")));
  const asked = ask(user);
  // Even a number that is good for the other connection is not good on this one.
  const { number } = await nextQuestion(other);
  raw.send(answered(String(Number(number) + 1_000), good("somebody else's")));
  await calm.notices();
  other.send(answered(number, good("yes")));
  expect(await asked).toEqual({ status: 200, userId: user, data: "yes" });
  expect((await describeUser(server(), user)).connections).toHaveLength(2);
});

test.each([
  ["plain", undefined, "first", "second"],
  ["the SDK's", "laptop", good("first"), good("second")],
])("a second answer of a client that is %s counts for nothing", async (_, device, first, second) => {
  const calm = await bystander(server());
  const user = newUser();
  const raw = await wireClient(server(), user, device);
  const asked = ask(user);
  const { number } = await nextQuestion(raw);
  for (const answer of [first, second, second]) raw.send(answered(number, answer));
  expect(await asked).toMatchObject({ status: 200, data: "first" });
  const again = ask(user);
  const next = await nextQuestion(raw);
  expect(next.number).not.toBe(number);
  raw.send(answered(number, second));
  raw.send(answered(next.number, first));
  expect(await again).toMatchObject({ status: 200, data: "first" });
  await calm.notices();
});

test("an answer that comes when its time is over counts for nothing", async () => {
  const calm = await bystander(server());
  const user = newUser();
  const raw = await wireClient(server(), user, "laptop");
  const asked = ask(user, { timeout: 100 });
  const late = await nextQuestion(raw);
  expect(await asked).toMatchObject({ status: 504, error: { code: "NO_ANSWER" } });
  await raw.next((text) => text.includes(EVENTS.cancelled) && text.includes(late.id));
  raw.send(answered(late.number, good("too late")));
  const next = ask(user);
  const { number } = await nextQuestion(raw);
  raw.send(answered(late.number, good("too late")));
  raw.send(answered(number, good("in time")));
  expect(await next).toMatchObject({ status: 200, data: "in time" });
  await calm.notices();
});

test.each([
  ["nothing", []],
  ["null", [null]],
  ["a text", ["yes"]],
  ["a list", [[]]],
  ["no verdict", [{ data: "yes" }]],
  ["a verdict in text", [{ ok: "true", data: "yes" }]],
  ["an error without a code", [{ ok: false }]],
  ["an error of an unknown code", [{ ok: false, error: { code: "EXPLODED", message: "x" } }]],
  ["an error whose code is inherited", [{ ok: false, error: { code: "constructor", message: "x" } }]],
])("an answer of %s is silence with a code of ours", async (_, args) => {
  const user = newUser();
  const raw = await wireClient(server(), user, "laptop");
  const other = await wireClient(server(), user, "phone");
  const asked = ask(user, { mode: "all" });
  raw.send(`43${(await nextQuestion(raw)).number}${JSON.stringify(args)}`);
  other.send(answered((await nextQuestion(other)).number, good("yes")));
  const { status, answers, silent } = await asked;
  expect(status).toBe(200);
  expect(answers).toEqual([expect.objectContaining({ device: "phone", data: "yes" })]);
  expect(silent).toEqual([expect.objectContaining({ device: "laptop", code: expect.stringMatching(/^(NO_ANSWER|INTERNAL)$/) })]);
  expect(await isOnline(user)).toBe(true);
});

test("a flood of answers holds up nobody, and the right one among them is found", async () => {
  const calm = await bystander(server());
  const user = newUser();
  const raw = await wireClient(server(), user, "laptop");
  const asked = ask(user);
  const { number } = await nextQuestion(raw);
  for (let i = 0; i < 10_000; i++) raw.send(answered(String(Number(number) + 1 + i), good(i)));
  raw.send(answered(number, good("the right one")));
  expect(await asked).toMatchObject({ status: 200, data: "the right one" });
  await calm.notices();
  expect(await isOnline(user)).toBe(true);
});

test("who answers for another user changes nothing for them", async () => {
  const [ana, mallory] = [newUser(), newUser()];
  const victim = await wireClient(server(), ana, "laptop");
  const thief = await wireClient(server(), mallory, "laptop");
  const asked = ask(ana);
  const { number, id } = await nextQuestion(victim);
  for (const claim of [good("stolen"), { ...good("stolen"), id }]) thief.send(answered(number, claim));
  thief.send(`42["usercast:cancelled",${JSON.stringify({ id })}]`);
  await until("mallory is answered in between", async () => (await ask(mallory, { timeout: 50 })).status === 504);
  victim.send(answered(number, good("mine")));
  expect(await asked).toMatchObject({ status: 200, data: "mine" });
});
