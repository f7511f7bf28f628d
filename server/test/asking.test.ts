import { EVENTS, type Question } from "@usercast/protocol";
import { expect, test, vi } from "vitest";
import { ManualClock } from "../src/testing/manual-clock.ts";
import { client, plain, start, type Wire, wire } from "./harness.ts";

type Answer = (answer: unknown) => void;

/** Questions a connection was asked, and how it answers them. */
function answering(
  { socket }: Wire,
  reply?: (data: unknown) => unknown,
): { questions: Question[]; cancelled: string[]; answers: Answer[] } {
  const questions: Question[] = [];
  const cancelled: string[] = [];
  const answers: Answer[] = [];
  socket.on(EVENTS.question, (_secret, question: Question, _event, data, answer: Answer) => {
    questions.push(question);
    answers.push(answer);
    if (reply !== undefined) answer({ ok: true, data: reply(data) });
  });
  socket.on(EVENTS.cancelled, (_secret, { id }) => cancelled.push(id));
  return { questions, cancelled, answers };
}

test("the first answer wins, and the others are told that theirs is not wanted any more", async () => {
  const { users, url } = await start();
  const phone = answering(await wire(url, "ana"), (data) => `${data}?`);
  const laptop = answering(await wire(url, "ana", { device: "laptop" }));
  expect(await users.to("ana").timeout("5s").ask("confirm", "really")).toBe("really?");
  await vi.waitFor(() => expect(laptop.cancelled).toEqual([phone.questions[0]?.id]));
  expect(phone.cancelled).toEqual([]);
  expect(laptop.questions[0]).toMatchObject({ timeoutMs: 5_000 });
  // What comes too late, or twice, changes nothing.
  laptop.answers[0]?.({ ok: true, data: "too late" });
  phone.answers[0]?.({ ok: true, data: "twice" });
  expect(await users.to("ana").ask("confirm", 2)).toBe("2?");
});

test("plain clients answer through Socket.IO's own acknowledgement", async () => {
  const { users, url } = await start();
  const { socket } = await plain(url, "ana");
  socket.on("confirm", (data: unknown, answer: Answer) => answer({ said: data }));
  expect(await users.to("ana").ask("confirm", { id: 42 })).toEqual({ said: { id: 42 } });
  socket.on("nothing", (_data: unknown, answer: () => void) => answer());
  expect(await users.to("ana").ask("nothing")).toBe(null);
});

test("everybody is asked, and whoever did not answer is named with the reason", async () => {
  const clock = new ManualClock();
  const { users, url } = await start({ clock });
  answering(await wire(url, "ana"), () => 1);
  answering(await wire(url, "ana", { session: "s2" }), () => 2);
  const silent = answering(await wire(url, "ana", { device: "laptop" }));
  const refuses = await wire(url, "ana", { device: "tv" });
  refuses.socket.on(EVENTS.question, (_s, _q, _e, _d, answer: Answer) =>
    answer({ ok: false, error: { code: "NO_HANDLER", message: "" } }),
  );
  const odd = await wire(url, "ana", { device: "odd" });
  odd.socket.on(EVENTS.question, (_s, _q, _e, _d, answer: Answer) => answer("no such form"));
  // A plain client that never calls back must not hang anything.
  await plain(url, "ana");
  const asking = users.to("ana").ask("confirm", null, { mode: "all" });
  await vi.waitFor(() => expect(silent.questions).toHaveLength(1));
  await vi.waitFor(() => {
    clock.advance(10_000);
    expect(silent.cancelled).toHaveLength(1);
  });
  const { answers, silent: rest } = await asking;
  expect(answers.map(({ device, session, data }) => [device, session, data])).toEqual([
    ["phone", "s1", 1],
    ["phone", "s2", 2],
  ]);
  expect(rest.map(({ device, code }) => `${device} ${code}`).sort()).toEqual([
    "laptop NO_ANSWER",
    "odd NO_ANSWER",
    "plain NO_ANSWER",
    "tv NO_HANDLER",
  ]);
  expect(rest.every(({ socketId }) => socketId !== "")).toBe(true);
});

test("the newest connection, or one device, can be asked alone", async () => {
  const { users, url } = await start();
  const phone = answering(await wire(url, "ana"), () => "phone");
  const laptop = answering(await wire(url, "ana", { device: "laptop" }), () => "laptop");
  expect(await users.to("ana").ask("who", null, { mode: "newest" })).toBe("laptop");
  expect(await users.to("ana").device("phone").ask("who")).toBe("phone");
  expect(await users.to("ana").except({ device: "phone" }).ask("who")).toBe("laptop");
  expect([phone.questions.length, laptop.questions.length]).toEqual([1, 2]);
});

test("nobody there is said at once, and silence names who was asked", async () => {
  const clock = new ManualClock();
  const { users, url } = await start({ clock });
  await expect(users.to("ana").ask("confirm")).rejects.toMatchObject({ code: "USER_OFFLINE" });
  const phone = answering(await wire(url, "ana"));
  await expect(users.to("ana").device("laptop").ask("confirm")).rejects.toMatchObject({ code: "USER_OFFLINE" });
  const asking = users.to("ana").timeout(500).ask("confirm");
  await vi.waitFor(() => expect(phone.questions).toHaveLength(1));
  clock.advance(500);
  await expect(asking).rejects.toMatchObject({ code: "NO_ANSWER", message: expect.stringContaining("phone") });
});

test("a connection that goes away while it is asked is waited for no longer", async () => {
  const { users, url } = await start();
  const ana = await wire(url, "ana");
  const { questions } = answering(ana);
  const plainly = await plain(url, "ana");
  plainly.socket.on("confirm", () => plainly.socket.disconnect());
  const asking = users.to("ana").timeout("1h").ask("confirm");
  await vi.waitFor(() => expect(questions).toHaveLength(1));
  ana.socket.disconnect();
  await expect(asking).rejects.toMatchObject({ code: "NO_ANSWER" });
});

test("what cannot be asked is refused before anybody is", async () => {
  const { users, url } = await start({ maxPayloadBytes: 1_000 });
  const { questions } = answering(await wire(url, "ana"));
  const cases = [
    [users.to(["ana", "bo"]).ask("e"), "INVALID_TARGET"],
    [users.to("").ask("e"), "INVALID_USER_ID"],
    [users.to("ana").ask("connect"), "RESERVED_EVENT"],
    [users.to("ana").ask("e", 1n), "INVALID_DATA"],
    [users.to("ana").ask("e", "x".repeat(2_000)), "PAYLOAD_TOO_LARGE"],
    [users.to("ana").timeout(0).ask("e"), "INVALID_TIMEOUT"],
    [users.to("ana").timeout("25h").ask("e"), "INVALID_TIMEOUT"],
    [users.to("ana").ask("e", null, { mode: "some" as never }), "INVALID_REQUEST"],
  ] as const;
  for (const [asking, code] of cases) await expect(asking).rejects.toMatchObject({ code });
  expect(questions).toEqual([]);
});

test("no more questions wait than allowed, and closing ends them all", async () => {
  const { users, url } = await start({ maxPendingQuestions: 2 });
  const { questions } = answering(await wire(url, "ana"));
  const waiting = [users.to("ana").ask("e"), users.to("ana").ask("e")];
  await vi.waitFor(() => expect(questions).toHaveLength(2));
  await expect(users.to("ana").ask("e")).rejects.toMatchObject({ code: "OVERLOADED" });
  await users.close();
  for (const asking of waiting) await expect(asking).rejects.toMatchObject({ code: "SERVER_CLOSED" });
});

test("answers to questions never asked change nothing", async () => {
  const { users, url } = await start();
  const { socket } = await plain(url, "ana");
  const raw = client(url);
  await raw.emitWithAck("register", "bo");
  // Socket.IO's packet of an acknowledgement, with numbers nobody gave.
  const engine = (socket as unknown as { io: { engine: { write(data: string): void } } }).io.engine;
  for (const id of ["0", "7", "999999"]) engine.write(`3${id}["forged"]`);
  // Until they have arrived, and been passed over.
  await socket.emitWithAck("register", "ana");
  socket.on("confirm", (_data: unknown, answer: Answer) => answer("mine"));
  expect(await users.to("ana").ask("confirm")).toBe("mine");
  raw.on("confirm", (_data: unknown, answer: Answer) => answer("bo's"));
  expect(await users.to("bo").ask("confirm")).toBe("bo's");
});
