import { expect, test, vi } from "vitest";
import { client, plain, start } from "./harness.ts";

test("a message reaches every socket of its user and nobody else", async () => {
  const { users, url } = await start();
  const first = await plain(url, "user123");
  const second = await plain(url, "user123", { transports: ["polling"] });
  const other = await plain(url, "user456");
  const receipt = await users.to("user123").send("hi");
  expect(receipt).toMatchObject({ userId: "user123", state: "pushed", offset: 1 });
  await vi.waitFor(() => expect([first.received, second.received]).toEqual([["hi"], ["hi"]]));
  expect(other.received).toEqual([]);
});

test("a message to a user without a socket is queued and delivered when the user registers", async () => {
  const { users, url } = await start();
  expect(await users.to("user123").send("one")).toMatchObject({ state: "queued", offset: 1 });
  await users.to("user123").send({ text: "two" });
  const { received } = await plain(url, "user123");
  await vi.waitFor(() => expect(received).toEqual(["one", { text: "two" }]));
});

test("what was confirmed by a heartbeat does not come again", async () => {
  const { users, url } = await start({ pingIntervalMs: 10, cursorIntervalMs: 0 });
  const first = await plain(url, "user123");
  await users.to("user123").send("one");
  await vi.waitFor(async () => expect((await users.connections("user123"))[0]?.confirmed).toBe(1));
  first.socket.disconnect();
  await vi.waitFor(async () => expect((await users.presence("user123")).online).toBe(false));
  await users.to("user123").send("two");
  const again = await plain(url, "user123");
  await vi.waitFor(() => expect(again.received).toEqual(["two"]));
});

test("registering again is without effect, and another user's id leaves the first", async () => {
  const { users, url } = await start();
  const { socket, received } = await plain(url, "ana");
  expect(await socket.emitWithAck("register", "ana")).toEqual({ ok: true, userId: "ana" });
  expect((await users.presence("ana")).connections).toBe(1);
  expect(await socket.emitWithAck("register", 42)).toEqual({ ok: true, userId: "42" });
  expect((await users.presence("ana")).online).toBe(false);
  await users.to(42).send("to 42");
  await vi.waitFor(() => expect(received).toEqual(["to 42"]));
});

test("a bad id is answered with a code and harms nothing", async () => {
  const { url } = await start();
  const socket = client(url);
  for (const id of ["", "a\u0000b", "x".repeat(513), "\ud800", 1.5, null, {}, [], true, Number.MAX_SAFE_INTEGER + 1]) {
    socket.emit("register", id);
    const answer = await socket.emitWithAck("register", id);
    if (answer.error?.code !== "RATE_LIMITED")
      expect(answer, String(id)).toMatchObject({ ok: false, error: { code: "INVALID_USER_ID" } });
  }
  expect(socket.connected).toBe(true);
});

test("many messages arrive in order, also when they were stored before", async () => {
  const { users, url } = await start();
  const all = Array.from({ length: 2_000 }, (_, i) => i);
  await Promise.all(all.slice(0, 1_000).map((i) => users.to("u").send(i)));
  const { received } = await plain(url, "u");
  await Promise.all(all.slice(1_000).map((i) => users.to("u").send(i)));
  await vi.waitFor(() => expect(received.length).toBe(2_000), 10_000);
  expect(received).toEqual(all);
});
