import { type SendRequest, UsercastError } from "@usercast/protocol";
import { beforeEach, expect, test } from "vitest";
import { FakeClock, settled } from "../test/fake-clock.ts";
import { Outbox, type SendReceipt } from "./outbox.ts";

let clock: FakeClock;
let outbox: Outbox;
let asked: { request: SendRequest; answer: (answer?: unknown) => void }[];
let outcomes: Record<string, SendReceipt | string>;

const accepted = { ok: true, state: "accepted" };
const refused = (code: string) => ({ ok: false, error: { code, message: `it is ${code}` } });
const online = () => outbox.online((request, answer) => asked.push({ request, answer }), 1_000);
const send = (to: string, key: string, bytes = 10) => {
  outbox.send({ request: { to, key, event: "message", data: key }, bytes }).then(
    (receipt) => (outcomes[key] = receipt),
    ({ code }) => (outcomes[key] = code),
  );
};
const keys = () => asked.map(({ request }) => request.key);
const answer = async (index: number, with_?: unknown) => {
  asked[index]?.answer(with_);
  await settled();
};

beforeEach(() => {
  clock = new FakeClock();
  outbox = new Outbox(clock, { maxOutbox: 3, sendTimeoutMs: 60_000 });
  asked = [];
  outcomes = {};
});

test("waits for a connection, then resolves with the server's answer", async () => {
  send("bo", "k1");
  expect(asked).toEqual([]);
  online();
  expect(asked[0]?.request).toEqual({ to: "bo", key: "k1", event: "message", data: "k1" });
  await answer(0, { ok: true, state: "queued" });
  expect(outcomes).toEqual({ k1: { to: "bo", key: "k1", state: "queued" } });
  expect(clock.waiting).toBe(0);
});

test("sends to one user one after another, to different users side by side", async () => {
  online();
  send("bo", "k1");
  send("bo", "k2");
  send("cy", "k3");
  expect(keys()).toEqual(["k1", "k3"]);
  await answer(0, accepted);
  expect(keys()).toEqual(["k1", "k3", "k2"]);
});

test("a failure that can pass is tried again with the same key, and nothing overtakes it", async () => {
  online();
  send("bo", "k1");
  send("bo", "k2");
  await answer(0, refused("RATE_LIMITED"));
  expect(keys()).toEqual(["k1"]);
  clock.advance(250);
  expect(keys()).toEqual(["k1", "k1"]);
  await answer(1, refused("STORE_FULL"));
  clock.advance(499);
  expect(keys()).toEqual(["k1", "k1"]);
  clock.advance(1);
  await answer(2, accepted);
  expect(keys()).toEqual(["k1", "k1", "k1", "k2"]);
});

test("no answer is no refusal: after a reconnect it is tried again with the same key", async () => {
  online();
  send("bo", "k1");
  send("bo", "k2");
  outbox.offline();
  await answer(0); // Socket.IO says that the answer will not come
  expect(outcomes).toEqual({});
  online();
  expect(keys()).toEqual(["k1", "k1"]);
  await answer(1, accepted);
  expect(keys()).toEqual(["k1", "k1", "k2"]);
});

test("a definite refusal rejects with the server's code, and the next one goes", async () => {
  online();
  send("bo", "k1");
  send("bo", "k2");
  await answer(0, refused("FORBIDDEN"));
  expect(outcomes).toEqual({ k1: "FORBIDDEN" });
  expect(keys()).toEqual(["k1", "k2"]);
});

test("a code of a newer server is final", async () => {
  online();
  send("bo", "k1");
  await answer(0, refused("NOT_INVENTED_YET"));
  expect(outcomes).toEqual({ k1: "INTERNAL" });
});

test("expires when no server accepts it in time, and is not tried again", async () => {
  online();
  send("bo", "k1");
  await answer(0, refused("UNAVAILABLE"));
  outbox.offline();
  clock.advance(60_000);
  await settled();
  expect(outcomes).toEqual({ k1: "SEND_EXPIRED" });
  online();
  clock.advance(60_000);
  expect(keys()).toEqual(["k1"]);
  expect(clock.waiting).toBe(0);
});

test("an answer after the expiry changes nothing", async () => {
  online();
  send("bo", "k1");
  clock.advance(60_000);
  await answer(0, refused("RATE_LIMITED"));
  expect(outcomes).toEqual({ k1: "SEND_EXPIRED" });
  expect(clock.waiting).toBe(0);
});

test("nothing is left behind when the client is closed, and nothing is taken any more", async () => {
  online();
  send("bo", "k1");
  await answer(0, refused("RATE_LIMITED"));
  outbox.close(new UsercastError("CLIENT_CLOSED"));
  send("bo", "k2");
  await settled();
  expect(outcomes).toEqual({ k1: "CLIENT_CLOSED", k2: "CLIENT_CLOSED" });
  expect(clock.waiting).toBe(0);
});

test("is bounded", async () => {
  for (const key of ["k1", "k2", "k3", "k4"]) send("bo", key);
  await settled();
  expect(outcomes).toEqual({ k4: "OUTBOX_FULL" });
});

test("what is larger than the server takes costs no connection", async () => {
  online();
  send("bo", "k1", 1_001);
  send("bo", "k2");
  await settled();
  expect(outcomes).toEqual({ k1: "PAYLOAD_TOO_LARGE" });
  expect(keys()).toEqual(["k2"]);
});

test("asks a bounded number of questions at a time", () => {
  outbox = new Outbox(clock, { maxOutbox: 100, sendTimeoutMs: 60_000 });
  online();
  for (let i = 0; i < 50; i++) send(`user-${i}`, `k${i}`);
  expect(asked.length).toBe(16);
});
