import { EVENTS } from "@usercast/protocol";
import { expect, test, vi } from "vitest";
import { memory } from "../src/broker/memory.ts";
import { plain, start, type Wire, wire } from "./harness.ts";

const received = ({ messages }: Wire): unknown[] => messages.map(({ data }) => data);

test("a message for one device reaches that device, and others skip it without a loss", async () => {
  const { users, url } = await start({ cursorIntervalMs: 0 });
  const phone = await wire(url, "ana");
  const laptop = await wire(url, "ana", { device: "laptop" });
  const { received: seen } = await plain(url, "ana");
  await users.to("ana").send(1);
  await users.to("ana").device("phone").send(2);
  await users.to("ana").except({ device: "phone" }).send(3);
  await users.to("ana").device("plain").send(4);
  await users.to("ana").send(5);
  await vi.waitFor(() => expect(received(phone)).toEqual([1, 2, 5]));
  await vi.waitFor(() => expect(received(laptop)).toEqual([1, 3, 5]));
  await vi.waitFor(() => expect(seen).toEqual([1, 3, 4, 5]));
  expect(phone.messages.map(({ meta }) => [meta.offset, meta.after])).toEqual([
    [1, undefined],
    [2, undefined],
    [5, 2],
  ]);
  expect(laptop.messages.map(({ meta }) => [meta.offset, meta.after])).toEqual([
    [1, undefined],
    [3, 1],
    [5, 3],
  ]);
  expect([phone.missed, laptop.missed]).toEqual([[], []]);
});

test("what is skipped needs no confirmation, and is not looked at again by the next session", async () => {
  const broker = memory({ quiet: true });
  const { users, url } = await start({ broker, cursorIntervalMs: 0 });
  const laptop = await wire(url, "ana", { device: "laptop" });
  await users.to("ana").send(1);
  await users.to("ana").device("phone").send(2);
  await vi.waitFor(() => expect(received(laptop)).toEqual([1]));
  const cursor = async (): Promise<number | undefined> => (await broker.position("ana")).devices.get("laptop")?.delivered;
  expect(await cursor()).toBe(0);
  await laptop.socket.emitWithAck(EVENTS.ack, 1);
  await vi.waitFor(async () => expect(await cursor()).toBe(2));
  await users.to("ana").device("phone").send(3);
  await vi.waitFor(async () => expect(await cursor()).toBe(3));
});

test("a message for a device that was never there waits for it, whatever others have seen", async () => {
  const { users, url } = await start({ cursorIntervalMs: 0 });
  const laptop = await wire(url, "ana", { device: "laptop" });
  const receipt = await users.to("ana").send("for all");
  await vi.waitFor(() => expect(received(laptop)).toEqual(["for all"]));
  await laptop.socket.emitWithAck(EVENTS.ack, 1);
  await receipt.delivered();
  await users.to("ana").device("tv").send("for the tv");
  await users.to("ana").send("for all again");
  await vi.waitFor(() => expect(received(laptop)).toEqual(["for all", "for all again"]));
  await laptop.socket.emitWithAck(EVENTS.ack, 3);
  const tv = await wire(url, "ana", { device: "tv" });
  await vi.waitFor(() => expect(received(tv)).toEqual(["for the tv", "for all again"]));
});

test("a message for all but one device waits for the first of the others, however far that one has come", async () => {
  const { users, url } = await start({ cursorIntervalMs: 0 });
  const phone = await wire(url, "ana");
  await users.to("ana").send("before");
  await users.to("ana").except({ device: "phone" }).send("sent by the phone");
  await users.to("ana").ttl(1).except({ device: "phone" }).send("expires");
  const last = await users.to("ana").send("after");
  await vi.waitFor(() => expect(received(phone)).toEqual(["before", "after"]));
  await phone.socket.emitWithAck(EVENTS.ack, 4);
  await last.delivered();
  expect((await users.trace("ana", 2)).state).toBe("waiting");
  const laptop = await wire(url, "ana", { device: "laptop" });
  // What the user has had elsewhere does not come again, and is no loss.
  await vi.waitFor(() => expect(received(laptop)).toEqual(["sent by the phone"]));
  await laptop.socket.emitWithAck(EVENTS.ack, 2);
  await vi.waitFor(async () => expect((await users.trace("ana", 2)).state).toBe("delivered"));
  expect((await users.trace("ana", 3)).state).toBe("expired");
  await users.to("ana").send("live");
  await vi.waitFor(() => expect(received(laptop)).toEqual(["sent by the phone", "live"]));
  expect(laptop.missed).toEqual([]);
  const tv = await wire(url, "ana", { device: "tv" });
  await vi.waitFor(() => expect(received(tv)).toEqual(["live"]));
});

test("a device that is sent something before it ever came gets that, and what others passed for it before", async () => {
  const { users, url } = await start({ cursorIntervalMs: 0 });
  const phone = await wire(url, "ana");
  await users.to("ana").except({ device: "phone" }).send("for the others");
  const seen = await users.to("ana").send("seen on the phone");
  await vi.waitFor(() => expect(received(phone)).toEqual(["seen on the phone"]));
  await phone.socket.emitWithAck(EVENTS.ack, 2);
  await seen.delivered();
  await users.to("ana").device("laptop").send("for the laptop");
  const laptop = await wire(url, "ana", { device: "laptop" });
  await vi.waitFor(() => expect(received(laptop)).toEqual(["for the others", "for the laptop"]));
  expect(laptop.missed).toEqual([]);
});

test("a full window of one device's messages holds up nobody else, and skipped ones do not count", async () => {
  const { users, url } = await start({ windowMessages: 4 });
  const phone = await wire(url, "ana");
  const laptop = await wire(url, "ana", { device: "laptop" });
  for (let i = 1; i <= 20; i += 1) await users.to("ana").device("phone").send(i);
  await users.to("ana").send("for all");
  await vi.waitFor(() => expect(received(laptop)).toEqual(["for all"]));
  await vi.waitFor(() => expect(received(phone)).toEqual([1, 2, 3, 4]));
  await phone.socket.emitWithAck(EVENTS.ack, 4);
  await vi.waitFor(() => expect(received(phone)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]));
});

test("signals go to one device, all but one, or all but one socket", async () => {
  const { users, url } = await start();
  const phone = await wire(url, "ana");
  const tab = await wire(url, "ana", { session: "s2" });
  const laptop = await wire(url, "ana", { device: "laptop" });
  const heard: string[] = [];
  for (const [name, { socket }] of Object.entries({ phone, tab, laptop })) {
    socket.on(EVENTS.signal, (_secret, _meta, _event, data) => heard.push(`${name} ${data}`));
  }
  users.to("ana").device("laptop").volatile.send("to the laptop");
  users.to("ana").volatile.except({ device: "phone" }).send("not to phones");
  users
    .to("ana")
    .volatile.except(phone.socket.id ?? "")
    .send("not to the socket");
  users
    .to("ana")
    .volatile.except([phone.socket.id ?? "", laptop.socket.id ?? ""])
    .send("to the tab");
  await vi.waitFor(() => expect(heard).toContain("tab to the tab"));
  await vi.waitFor(() =>
    expect(heard.sort()).toEqual([
      "laptop not to phones",
      "laptop not to the socket",
      "laptop to the laptop",
      "tab not to the socket",
      "tab to the tab",
    ]),
  );
});

test("devices that have no name, and sockets left out of what is kept, are refused", async () => {
  const { users } = await start();
  const bad = users.to("ana");
  await expect(bad.device("a b").send(1)).rejects.toMatchObject({ code: "INVALID_DEVICE" });
  await expect(bad.device("").send(1)).rejects.toMatchObject({ code: "INVALID_DEVICE" });
  await expect(bad.except({ device: "ä" }).send(1)).rejects.toMatchObject({ code: "INVALID_DEVICE" });
  await expect(bad.except("socket-id" as never).send(1)).rejects.toMatchObject({ code: "INVALID_TARGET" });
  await expect(bad.except(undefined as never).send(1)).rejects.toMatchObject({ code: "INVALID_TARGET" });
  await expect(bad.device("phone").except({ device: "phone" }).send(1)).rejects.toMatchObject({ code: "INVALID_TARGET" });
  expect((await users.mailbox("ana").read()).head.offset).toBe(0);
  const errors: string[] = [];
  users.on("error", ({ code }) => errors.push(code));
  bad.volatile.except({ device: "a b" }).send(1);
  expect(errors).toEqual(["INVALID_DEVICE"]);
});
