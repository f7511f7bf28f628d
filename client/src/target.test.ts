import { type SendRequest, UsercastError } from "@usercast/protocol";
import { beforeEach, describe, expect, test } from "vitest";
import { settled } from "../test/fake-clock.ts";
import type { DefaultEvents } from "./events.ts";
import type { OutgoingMessage } from "./outbox.ts";
import type { Sent } from "./sent.ts";
import { snapshot } from "./snapshot.ts";
import { Target } from "./target.ts";
import { watched } from "./watched.ts";

let sent: OutgoingMessage[];
let signals: SendRequest[];
let reports: string[];
let outcome: () => Promise<Sent>;

const to = (user: unknown): Target<DefaultEvents> =>
  new Target(
    {
      send: (message) => {
        sent.push(message);
        return outcome();
      },
      signal: (request) => signals.push(request),
      report: ({ code }) => reports.push(code),
    },
    user,
  );

beforeEach(() => {
  sent = [];
  signals = [];
  reports = [];
  outcome = () => Promise.resolve({ to: "bo", key: "k", state: "accepted", on: () => () => undefined });
});

describe("a target", () => {
  test("makes one key per send", async () => {
    await to("bo").emit("message", { text: "hi" });
    await to(42).ttl("1h").send("hi");
    const [first, second] = sent.map(({ request }) => request);
    expect(first).toMatchObject({ to: "bo", event: "message", data: { text: "hi" } });
    expect(second).toMatchObject({ to: "42", event: "message", data: "hi", ttl: "1h" });
    expect(first?.key).toMatch(/^[0-9a-f-]{32,}$/);
    expect(first?.key).not.toBe(second?.key);
  });

  test("sends missing data as null, and counts what the server counts", async () => {
    await to("bo").emit("ping");
    expect(sent[0]?.request.data).toBeNull();
    expect(sent[0]?.bytes).toBe('"ping",null'.length);
  });

  test("sends what the data was at the time of the call", async () => {
    const data = { list: [1], bytes: new Uint8Array([1]) };
    await to("bo").emit("message", data);
    data.list.push(2);
    data.bytes[0] = 9;
    expect(sent[0]?.request.data).toEqual({ list: [1], bytes: new Uint8Array([1]) });
  });

  const bad: [string, string, () => Promise<unknown>][] = [
    ["INVALID_USER_ID", "an empty id", () => to("").emit("message", 1)],
    ["RESERVED_EVENT", "an event of ours", () => to("bo").emit("usercast:ready", 1)],
    ["INVALID_EVENT", "no event", () => to("bo").emit("", 1)],
    ["TOO_MANY_DATA", "two pieces of data", () => Reflect.apply(to("bo").emit, to("bo"), ["message", 1, 2])],
    ["INVALID_DATA", "a big integer", () => to("bo").emit("message", 1n)],
    [
      "INVALID_DATA",
      "data that contains itself",
      () => {
        const data: unknown[] = [];
        data.push(data);
        return to("bo").emit("message", data);
      },
    ],
  ];
  test.each(bad)("rejects with %s for %s", async (code, _, send) => {
    await expect(send()).rejects.toMatchObject({ code });
    expect(sent).toEqual([]);
  });

  test("sends signals, and reports what is wrong with them", () => {
    to("bo").volatile.emit("typing", true);
    to("").volatile.emit("typing", true);
    to("bo").ttl("1h").volatile.send("hi");
    expect(signals).toEqual([{ to: "bo", event: "typing", data: true, volatile: true }]);
    expect(reports).toEqual(["INVALID_USER_ID", "IDEMPOTENCY_KEY_ON_VOLATILE"]);
  });
});

describe("a rejection", () => {
  const fail = () => Promise.reject(new UsercastError("FORBIDDEN"));

  test("that nobody waits for is reported and ends nothing", async () => {
    outcome = fail;
    void to("bo").emit("message", 1);
    await expect.poll(() => reports).toEqual(["FORBIDDEN"]);
  });

  test("that is awaited, chained or gathered is its caller's", async () => {
    outcome = fail;
    await expect(to("bo").emit("message", 1)).rejects.toMatchObject({ code: "FORBIDDEN" });
    await to("bo")
      .emit("message", 1)
      .catch(() => undefined);
    await Promise.allSettled([to("bo").emit("message", 1), to("bo").emit("message", 2)]);
    await new Promise((resolve) => setTimeout(resolve));
    await settled();
    expect(reports).toEqual([]);
  });

  test("does not hide a result", async () => {
    await expect(watched(Promise.resolve(7), () => undefined)).resolves.toBe(7);
  });
});

describe("a snapshot", () => {
  test("holds what JSON would hold", () => {
    const data = { date: new Date(0), gone: undefined, call: () => 1, nested: [{ a: null }], ["__proto__"]: 1 };
    expect(JSON.stringify(snapshot(data).data)).toBe(JSON.stringify(data));
  });

  test("keeps binary parts, and counts them", () => {
    const buffer = Buffer.from("abcd").subarray(1, 3);
    const { data, bytes } = snapshot({ buffer, raw: new Uint8Array([1, 2, 3]).buffer });
    expect(data).toEqual({ buffer: new Uint8Array([98, 99]), raw: new Uint8Array([1, 2, 3]).buffer });
    expect(bytes).toBe('{"buffer":null,"raw":null}'.length + 5);
  });
});
