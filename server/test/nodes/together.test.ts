import { EVENTS } from "@usercast/protocol";
import { expect, test, vi } from "vitest";
import { plain, wire } from "../harness.ts";
import { type Node, nodes, ownStore } from "./servers.ts";

const store = ownStore();
const three = (options?: Parameters<typeof nodes>[2]) => nodes(store(), 3, options) as Promise<readonly [Node, Node, Node]>;

type Answer = (answer: unknown) => void;

test("a message reaches every connection of its user, wherever it is, in order and once", async () => {
  const [one, two, third] = await three();
  const phone = await wire(two.url, "ana");
  const laptop = await plain(third.url, "ana");
  const sent = [];
  for (let number = 1; number <= 30; number += 1) sent.push(await [one, two, third][number % 3]?.users.to("ana").send(number));
  expect(sent.map((receipt) => receipt?.state)).toEqual(sent.map(() => "pushed"));
  const numbers = sent.map((_, i) => i + 1);
  await vi.waitFor(() => expect(phone.messages.map(({ data }) => data)).toEqual(numbers));
  await vi.waitFor(() => expect(laptop.received).toEqual(numbers));
});

test("a message is told to the nodes where its user is, and to no other", async () => {
  const [one, two, third] = await three();
  const phone = await wire(two.url, "zoe");
  const laptop = await plain(third.url, "yan");
  const { client } = store();
  const channels = (await client.call("PUBSUB", "CHANNELS", `${two.prefix}*:c`)) as readonly string[];
  expect(channels).toHaveLength(2);
  const listeners = (await client.call("PUBSUB", "NUMSUB", ...channels)) as readonly (string | number)[];
  expect(listeners.filter((_, i) => i % 2 === 1)).toEqual([1, 1]);
  expect((await one.users.to(["zoe", "yan"]).send("hi")).map(({ state }) => state)).toEqual(["pushed", "pushed"]);
  await vi.waitFor(() => expect([phone.messages.length, laptop.received.length]).toEqual([1, 1]));
  expect(await client.call("PUBSUB", "NUMSUB", ...channels)).toEqual(listeners);
});

test("a receipt says what is true of connections to other nodes", async () => {
  const [one, two] = await three();
  expect((await one.users.to("ana").send("nobody is there")).state).toBe("queued");
  const phone = await wire(two.url, "ana");
  const receipt = await one.users.to("ana").send("there");
  expect(receipt.state).toBe("pushed");
  const both = await one.users.to(["ana", "bo"]).send("both");
  expect(both.map(({ state }) => state)).toEqual(["pushed", "queued"]);
  await vi.waitFor(() => expect(phone.messages).toHaveLength(3));
  phone.socket.emit(EVENTS.ack, 3);
  phone.socket.emit(EVENTS.read, 2);
  expect(await receipt.delivered()).toMatchObject({ device: "phone" });
  expect(await receipt.read()).toMatchObject({ device: "phone" });
  phone.socket.disconnect();
  await vi.waitFor(async () => expect((await one.users.to("ana").send("gone")).state).toBe("queued"));
});

test("what users send, its states and what was read are the same on every node", async () => {
  const [one, two, third] = await three({ authorize: () => ({ receipts: true }) });
  const bo = await wire(one.url, "bo");
  const boToo = await wire(two.url, "bo", { device: "laptop" });
  const ana = await wire(third.url, "ana");
  const anaToo = await wire(one.url, "ana", { device: "laptop" });
  const request = { to: "ana", event: "message", data: "hi", key: "k1" };
  expect(await bo.socket.emitWithAck(EVENTS.send, request)).toMatchObject({ ok: true, receipts: true });
  await vi.waitFor(() => expect([ana.messages.length, anaToo.messages.length]).toEqual([1, 1]));
  ana.socket.emit(EVENTS.ack, 1);
  ana.socket.emit(EVENTS.read, 1);
  for (const { receipts } of [bo, boToo]) {
    await vi.waitFor(() => expect(receipts.map(({ state }) => state)).toEqual(["delivered", "read"]));
  }
  await vi.waitFor(() => expect(anaToo.read).toEqual([1]));
  expect(await boToo.socket.emitWithAck(EVENTS.state, [{ to: "ana", key: "k1" }])).toEqual({ ok: true, states: ["read"] });
});

test("everybody is told to go, or one device, and how many went is known", async () => {
  const [one, two, third] = await three();
  const phone = await wire(two.url, "ana");
  const laptop = await wire(third.url, "ana", { device: "laptop" });
  const tv = await wire(one.url, "ana", { device: "tv" });
  expect(await one.users.disconnect("ana", { device: "laptop", reason: "lost" })).toBe(1);
  await vi.waitFor(() => expect(laptop.closing).toMatchObject([{ code: "DISCONNECTED", message: "lost", reconnect: false }]));
  expect([phone.closing, tv.closing]).toEqual([[], []]);
  await expect(one.users.disconnect("ana", { device: "no such id" })).rejects.toMatchObject({ code: "INVALID_DEVICE" });
  expect(await third.users.disconnect("ana")).toBe(2);
  for (const { closing } of [phone, tv]) await vi.waitFor(() => expect(closing).toMatchObject([{ code: "DISCONNECTED" }]));
  expect(await one.users.disconnect("ana")).toBe(0);
});

test("connections tell of themselves from whichever node one asks, oldest first", async () => {
  const [one, two, third] = await three();
  const phone = await wire(two.url, "ana");
  await wire(third.url, "ana", { device: "laptop" });
  await plain(one.url, "ana");
  await one.users.to("ana").send("hi");
  await vi.waitFor(() => expect(phone.messages).toHaveLength(1));
  phone.socket.emit(EVENTS.ack, 1);
  await vi.waitFor(async () =>
    expect((await third.users.connections("ana")).map(({ device, sent, confirmed }) => [device, sent, confirmed])).toEqual([
      ["phone", 1, 1],
      ["laptop", 1, 0],
      ["plain", 1, expect.any(Number)],
    ]),
  );
});

test("a question is put to every node, and the first answer ends it everywhere", async () => {
  const [one, two, third] = await three();
  const phone = await wire(two.url, "ana");
  const laptop = await wire(third.url, "ana", { device: "laptop" });
  const cancelled: string[] = [];
  laptop.socket.on(EVENTS.cancelled, (_secret, { id }) => cancelled.push(id));
  let asked = "";
  laptop.socket.on(EVENTS.question, (_secret, { id }) => {
    asked = id;
  });
  phone.socket.on(EVENTS.question, (_secret, _question, _event, data, answer: Answer) => answer({ ok: true, data: `${data}?` }));
  expect(await one.users.to("ana").ask("confirm", "really")).toBe("really?");
  await vi.waitFor(() => expect(cancelled).toEqual([asked]));
  await expect(one.users.to("bo").ask("confirm")).rejects.toMatchObject({ code: "USER_OFFLINE" });
});

test("all are asked on all nodes, with binary data there and back, and who does not answer is named", async () => {
  const [one, two, third] = await three();
  const phone = await wire(two.url, "ana");
  phone.socket.on(EVENTS.question, (_s, _q, _e, data: { part: Buffer }, answer: Answer) =>
    answer({ ok: true, data: { echo: data.part } }),
  );
  const laptop = await plain(one.url, "ana");
  laptop.socket.on("confirm", (_data: unknown, answer: Answer) => answer("from here"));
  const tv = await wire(third.url, "ana", { device: "tv" });
  tv.socket.on(EVENTS.question, (_s, _q, _e, _d, answer: Answer) =>
    answer({ ok: false, error: { code: "NO_HANDLER", message: "" } }),
  );
  await wire(two.url, "ana", { device: "silent" });
  const { answers, silent } = await one.users
    .to("ana")
    .timeout(1_500)
    .ask("confirm", { part: Buffer.from([7, 0]) }, { mode: "all" });
  expect(new Map(answers.map(({ device, data }) => [device, data]))).toEqual(
    new Map<string, unknown>([
      ["plain", "from here"],
      ["phone", { echo: Buffer.from([7, 0]) }],
    ]),
  );
  expect(silent.map(({ device, code }) => `${device} ${code}`).sort()).toEqual(["silent NO_ANSWER", "tv NO_HANDLER"]);
});

test("the newest connection is asked, at whichever node it is", async () => {
  const [one, two, third] = await three();
  const ask = () => one.users.to("ana").ask("who", null, { mode: "newest" });
  for (const [node, device] of [
    [two, "first"],
    [one, "second"],
    [third, "third"],
  ] as const) {
    const { socket } = await wire(node.url, "ana", { device });
    socket.on(EVENTS.question, (_s, _q, _e, _d, answer: Answer) => answer({ ok: true, data: device }));
    expect(await ask()).toBe(device);
  }
  expect(await one.users.to("ana").device("first").ask("who")).toBe("first");
});
