import { randomBytes } from "node:crypto";
import { connect } from "node:net";
import { describe, expect, test } from "vitest";
import { type Bystander, bystander } from "../support/bystander.ts";
import { describeUser } from "../support/http.ts";
import { owned, shared } from "../support/owned.ts";
import { RawWebSocket } from "../support/raw-websocket.ts";
import { TestServer } from "../support/server.ts";
import { until } from "../support/wait.ts";

// Bytes that no client library would send. Whatever becomes of the connection they came on, the server stays, and others
// notice nothing.

const server = shared(() => TestServer.start());

const PATH = "/socket.io/?EIO=4&transport=websocket";

/** What a namespace of Socket.IO never holds. */
const NOT_ENGINE_IO = ["", "x", "9", "0{}", "1", "2probe", "3probe", "5", "6", "b", "bAAAA", "\u0000", "4", "\ud800"];

const NOT_SOCKET_IO = [
  ...["49", "4x", "40{", "40[]", '40"x"', '40{"usercast":null}', "40/admin,", '40/admin,{"a":1}', "41", "41/admin,"],
  ...["42", "42{}", "42[", '42"x"', "42[]", "42[null]", "42[1]", "42[{}]", "42[[]]", '42["connect"]', '42["disconnect"]'],
  ...['42["disconnecting"]', '42["connect_error",{}]', '42["newListener"]', '42["error","boom"]', '42["__proto__",1]'],
  ...['42["constructor"]', '42["toString",1]', '42/admin,["register","x"]', '429999999999999999999["register","x"]'],
  ...["43", "43[]", '430["x"]', '4399["x"]', '44{"message":"x"}', '44"x"', '42-["x"]'],
  ...["45", '45["x"]', '45-["x"]', '450-["x"]', "451-", '4599999999-["x",{"_placeholder":true,"num":0}]'],
  ...['451-["register",{"_placeholder":true,"num":0}]', '451-["x",{"_placeholder":true,"num":7}]', '461-1["x"]'],
  ...['42["register"]', '42["register",{"__proto__":{"a":1}}]', '42["register","a","b","c"]', '420["register"]'],
  ...['42["usercast:ack"]', '420["usercast:ack",{"a":1}]', '42["usercast:send"]', '420["usercast:send",null]'],
  ...['42["usercast:ready",{}]', '42["usercast:message","","","",""]', '42["usercast:closing","",{}]'],
  `42["register",${"[".repeat(50_000)}${"]".repeat(50_000)}]`,
];

/** A connection that has joined the namespace, and optionally registered. */
async function joined(user?: string): Promise<RawWebSocket> {
  const raw = owned(await RawWebSocket.connect(server().port, PATH));
  raw.send("40");
  await raw.next((text) => text.startsWith("40{"));
  if (user !== undefined) {
    raw.send(`421["register",${JSON.stringify(user)}]`);
    await raw.next((text) => text.startsWith("431[") && text.includes('"ok":true'));
  }
  return raw;
}

/** Has the server end the connection, which shows that it has dealt with everything that was sent before. */
async function ended(raw: RawWebSocket): Promise<void> {
  // Whether this is still heard does not matter: a packet may wait for its attachments, or have left the namespace.
  raw.send('42["register","mallory"]');
  // In Engine.IO 4 it is the server that pings: a client that does is an error, on any connection that is still there.
  raw.send("2");
  await until("the server has ended the connection", () => raw.closed);
}

describe("on a WebSocket", () => {
  test("packets that are none of Engine.IO's", async () => {
    const calm: Bystander = await bystander(server());
    for (const text of NOT_ENGINE_IO) {
      const early = owned(await RawWebSocket.connect(server().port, PATH));
      early.send(text);
      early.close();
      const raw = await joined("mallory");
      raw.send(text);
      await ended(raw);
    }
    await calm.notices();
  });

  test.each(["before it has registered", "after it has registered"])("packets that are none of Socket.IO's, %s", async (when) => {
    const calm = await bystander(server());
    for (const text of NOT_SOCKET_IO) {
      const raw = await joined(when.startsWith("after") ? "mallory" : undefined);
      raw.send(text);
      await ended(raw);
    }
    await calm.notices();
    await until("nothing is left of it", async () => !(await describeUser(server(), "mallory")).online);
  });

  test("packets before the namespace was joined", async () => {
    const calm = await bystander(server());
    for (const text of NOT_SOCKET_IO) {
      const raw = owned(await RawWebSocket.connect(server().port, PATH));
      raw.send(text);
      raw.send('42["register","mallory"]');
      raw.close();
    }
    await calm.notices();
  });

  test("attachments nobody announced, and those that were announced and never come", async () => {
    const calm = await bystander(server());
    const raw = await joined("mallory");
    raw.sendBinary(randomBytes(100));
    await ended(raw);
    const waits = await joined("mallory");
    waits.send('452-["register",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]');
    waits.sendBinary(randomBytes(10));
    waits.send('42["register","mallory"]');
    await calm.notices();
  });

  test("frames that are none of WebSocket's end the connection", async () => {
    const calm = await bystander(server());
    const frames: readonly (readonly [string, Uint8Array])[] = [
      ["without a mask", Uint8Array.of(0x81, 0x02, 0x34, 0x30)],
      ["with reserved bits", Uint8Array.of(0xf1, 0x80, 0, 0, 0, 0)],
      ["of an unknown kind", Uint8Array.of(0x83, 0x80, 0, 0, 0, 0)],
      ["of more bytes than there are", Uint8Array.of(0x81, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0)],
      ["with a continuation of nothing", Uint8Array.of(0x80, 0x80, 0, 0, 0, 0)],
      ["with text that is no UTF-8", Uint8Array.of(0x81, 0x82, 0, 0, 0, 0, 0xc3, 0x28)],
      ["that are noise", Uint8Array.of(0xff, ...randomBytes(1_000))],
    ];
    for (const [what, bytes] of frames) {
      const raw = await joined("mallory");
      raw.sendBytes(bytes);
      await until(`a frame ${what} ends the connection`, () => raw.closed);
    }
    await calm.notices();
    await until("nothing is left of it", async () => !(await describeUser(server(), "mallory")).online);
  });
});

describe("over HTTP long-polling", () => {
  const url = (query: string): string => `${server().url}/socket.io/?${query}`;

  test.each([
    ["no transport", "EIO=4"],
    ["an unknown transport", "EIO=4&transport=pigeon"],
    ["two transports", "EIO=4&transport=polling&transport=websocket"],
    ["an unknown session", "EIO=4&transport=polling&sid=nobody"],
    ["a list of sessions", "EIO=4&transport=polling&sid=a&sid=b"],
    ["the session __proto__", "EIO=4&transport=polling&sid=__proto__"],
    ["WebSocket without an upgrade", "EIO=4&transport=websocket"],
  ])("a request with %s is refused", async (_, query) => {
    const calm = await bystander(server());
    expect((await fetch(url(query))).status).toBe(400);
    expect((await fetch(url(query), { method: "POST", body: "4" })).status).toBe(400);
    await calm.notices();
  });

  test("bodies that hold no packets", async () => {
    const calm = await bystander(server());
    const bodies = [...NOT_ENGINE_IO, ...NOT_SOCKET_IO, "4\u001e4\u001e", "\u001e".repeat(10_000), "b!!!!", "x".repeat(200_000)];
    for (const body of bodies) {
      const open = await (await fetch(url("EIO=4&transport=polling"))).text();
      const { sid } = JSON.parse(open.slice(1)) as { readonly sid: string };
      const session = url(`EIO=4&transport=polling&sid=${sid}`);
      await fetch(session, { method: "POST", body: "40" });
      const answer = await fetch(session, { method: "POST", body });
      expect([200, 400, 413]).toContain(answer.status);
      // Ends the session, where it has not ended already.
      await fetch(session, { method: "POST", body: "1" });
    }
    await calm.notices();
  });

  test("two polls at once, and a body that never ends", async () => {
    const calm = await bystander(server());
    const open = await (await fetch(url("EIO=4&transport=polling"))).text();
    const { sid } = JSON.parse(open.slice(1)) as { readonly sid: string };
    const session = `EIO=4&transport=polling&sid=${sid}`;
    const polls = [fetch(url(session)), fetch(url(session))].map((poll) => poll.then(({ status }) => status));
    expect((await Promise.all(polls)).some((status) => status === 400)).toBe(true);

    const slow = owned(new Endless(server().port, session));
    await calm.notices();
    expect(slow.closed).toBe(false);
  });
});

test("bytes that are no HTTP", async () => {
  const calm = await bystander(server());
  for (const bytes of [
    randomBytes(2_000),
    "GET\r\n\r\n",
    `GET / HTTP/1.1\r\n${"x: y\r\n".repeat(10_000)}`,
    "\u0016\u0003\u0001",
  ]) {
    const socket = connect({ port: server().port, host: "127.0.0.1" });
    const ended = new Promise((resolve) => socket.once("close", resolve));
    socket.on("error", () => {});
    socket.resume();
    socket.end(bytes);
    await ended;
  }
  await calm.notices();
});

/** A request whose body is announced and does not come. */
class Endless {
  readonly #socket;

  constructor(port: number, query: string) {
    this.#socket = connect({ port, host: "127.0.0.1" });
    this.#socket.on("error", () => {});
    this.#socket.write(`POST /socket.io/?${query} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n4`);
  }

  get closed(): boolean {
    return this.#socket.destroyed;
  }

  close(): void {
    this.#socket.destroy();
  }
}
