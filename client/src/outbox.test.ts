import { type SendRequest, UsercastError } from "@usercast/protocol";
import { beforeEach, describe, expect, test } from "vitest";
import { FakeClock, settled } from "../test/fake-clock.ts";
import { Outbox } from "./outbox.ts";

let clock: FakeClock;
let outbox: Outbox;
let asked: { request: SendRequest; answer: (answer?: unknown) => void }[];
let outcomes: Record<string, string>;

const accepted = { ok: true, state: "accepted" };
const refused = (code: string) => ({ ok: false, error: { code, message: `it is ${code}` } });
const online = (idempotencyMs = 86_400_000) =>
  outbox.online((request, answer) => asked.push({ request, answer }), { maxPayloadBytes: 1_000, idempotencyMs });
const outboxOf = (limits: { maxOutbox: number; sendTimeoutMs?: number }) =>
  new Outbox({
    clock,
    sendTimeoutMs: 60_000,
    answerTimeoutMs: 10_000,
    ...limits,
    onAccepted: ({ request: { to, key } }, { state }) => ({ to, key, state, on: () => () => undefined }),
  });
const send = (to: string, key: string, bytes = 10) => {
  outbox.send({ request: { to, key, event: "message", data: key }, bytes }).then(
    ({ state }) => (outcomes[key] = state),
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
  outbox = outboxOf({ maxOutbox: 3 });
  asked = [];
  outcomes = {};
});

test("waits for a connection, then resolves with the server's answer", async () => {
  send("bo", "k1");
  expect(asked).toEqual([]);
  online();
  expect(asked[0]?.request).toEqual({ to: "bo", key: "k1", event: "message", data: "k1" });
  await answer(0, { ok: true, state: "delivered" });
  expect(outcomes).toEqual({ k1: "delivered" });
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
  outbox = outboxOf({ maxOutbox: 100 });
  online();
  for (let i = 0; i < 50; i++) send(`user-${i}`, `k${i}`);
  expect(asked.length).toBe(16);
});

describe("a message that may have been accepted is not tried again once its key may be forgotten", () => {
  // Keys live for half a minute, an answer takes up to ten seconds.
  const LIFE_MS = 30_000;
  const RETRY_MS = 20_000;

  test("while there is a connection", async () => {
    online(LIFE_MS);
    send("bo", "k1");
    let answered = 0;
    while (clock.now() < RETRY_MS) {
      for (; answered < asked.length; answered++) await answer(answered, refused("UNAVAILABLE"));
      // The end of all tries, the end of the key's life, and a rest.
      expect(clock.waiting).toBe(3);
      clock.advance(250);
    }
    await settled();
    expect(outcomes).toEqual({ k1: "SEND_EXPIRED" });
    expect(clock.waiting).toBe(0);
    const tries = asked.length;
    expect(tries).toBeGreaterThan(2);
    clock.advance(LIFE_MS);
    expect(asked).toHaveLength(tries);
  });

  test("while there is none", async () => {
    online(LIFE_MS);
    send("bo", "k1");
    outbox.offline();
    await answer(0);
    clock.advance(RETRY_MS - 1);
    await settled();
    expect(outcomes).toEqual({});
    clock.advance(1);
    await settled();
    expect(outcomes).toEqual({ k1: "SEND_EXPIRED" });
  });

  test("though a late answer to the last try counts", async () => {
    online(LIFE_MS);
    send("bo", "k1");
    send("cy", "k2");
    clock.advance(RETRY_MS + 1);
    await answer(0, accepted);
    await answer(1);
    expect(outcomes).toEqual({ k1: "accepted", k2: "SEND_EXPIRED" });
    expect(keys()).toEqual(["k1", "k2"]);
  });

  test("though what is in flight by then may still be answered", async () => {
    online(LIFE_MS);
    send("bo", "k1");
    await answer(0, refused("UNAVAILABLE"));
    clock.advance(250);
    expect(keys()).toEqual(["k1", "k1"]);
    clock.advance(RETRY_MS);
    await answer(1, accepted);
    expect(outcomes).toEqual({ k1: "accepted" });
    expect(clock.waiting).toBe(0);
  });

  test("counted from its first try, and not from the call", () => {
    send("bo", "k1");
    clock.advance(RETRY_MS + 1);
    online(LIFE_MS);
    expect(keys()).toEqual(["k1"]);
  });

  test("as the last server said", async () => {
    online(LIFE_MS);
    send("bo", "k1");
    outbox.offline();
    await answer(0);
    online();
    await answer(1, refused("UNAVAILABLE"));
    clock.advance(RETRY_MS);
    await settled();
    expect(outcomes).toEqual({});
    expect(keys()).toEqual(["k1", "k1", "k1"]);
    outbox.offline();
    await answer(2);
    online(LIFE_MS);
    await settled();
    expect(outcomes).toEqual({ k1: "SEND_EXPIRED" });
    expect(asked).toHaveLength(3);
  });

  test("also where the machine slept and its timers with it", async () => {
    online(LIFE_MS);
    send("bo", "k1");
    outbox.offline();
    await answer(0);
    clock.sleep(RETRY_MS);
    online(LIFE_MS);
    await settled();
    expect(outcomes).toEqual({ k1: "SEND_EXPIRED" });
    expect(keys()).toEqual(["k1"]);
  });

  test("and where keys live for less than an answer takes, half their life is for tries", async () => {
    online(1_000);
    send("bo", "k1");
    await answer(0, refused("UNAVAILABLE"));
    clock.advance(250);
    expect(keys()).toEqual(["k1", "k1"]);
    await answer(1, refused("UNAVAILABLE"));
    clock.advance(250);
    await settled();
    expect(outcomes).toEqual({ k1: "SEND_EXPIRED" });
  });
});
