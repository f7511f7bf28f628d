import { EVENTS, type Position, UsercastError } from "@usercast/protocol";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { memory } from "./broker/memory.ts";
import { systemClock } from "./clock.ts";
import { Connection } from "./connection.ts";
import type { ConnectionListener } from "./context.ts";
import type { Frame } from "./frame.ts";
import type { Link } from "./link.ts";
import type { Broker, MailboxListener, Page } from "./ports.ts";
import { PushLog } from "./pushes.ts";
import { Turns } from "./turns.ts";

/** A link that writes down what it is given. */
class NotedLink implements Link {
  readonly frames: unknown[][] = [];
  closed: { comeBack: boolean } | undefined;
  congested = false;

  send(frame: Frame): void {
    this.frames.push(JSON.parse(`[${frame.text}]`) as unknown[]);
  }
  awaitRoom(): void {}
  ping(): boolean {
    return true;
  }
  ask(): () => void {
    return () => {};
  }
  close(comeBack: boolean): void {
    this.closed = { comeBack };
  }
  /** What handlers of messages would see. */
  get data(): unknown[] {
    return this.frames.filter(([event]) => event === EVENTS.message).map((frame) => frame[4]);
  }
}

let broker: Broker;
let link: NotedLink;
/** Holds up the answers of reads until it is opened; what they answer is as old as the question. */
let gate: { readonly wait: Promise<void>; readonly open: () => void } | undefined;
let failure: Error | undefined;
/** Whether hints are lost. */
let deaf = false;
const listener: ConnectionListener = { onMoved() {}, onMissed() {}, onError() {}, onClosed() {} };

beforeEach(() => {
  broker = memory({ quiet: true });
  link = new NotedLink();
  gate = undefined;
  failure = undefined;
  deaf = false;
});
afterEach(() => broker.close());

function closeGate(): { readonly open: () => void } {
  let open = (): void => {};
  const wait = new Promise<void>((resolve) => {
    open = resolve;
  });
  gate = { wait, open };
  return gate;
}

async function connect(claim?: Position): Promise<Connection> {
  const read = async (userId: string, after: number, limit: number): Promise<Page> => {
    if (failure !== undefined) throw failure;
    const page = await broker.read(userId, after, limit);
    await gate?.wait;
    return page;
  };
  const gated = new Proxy(broker, {
    get: (_, name: keyof Broker) => {
      const member: unknown = name === "read" ? read : broker[name];
      return typeof member === "function" ? member.bind(broker) : member;
    },
  });
  const context = {
    broker: gated,
    clock: systemClock,
    pushes: new PushLog(10),
    turns: new Turns(4),
    windowMessages: 256,
    windowBytes: 1_048_576,
    maxPayloadBytes: 65_536,
    pageMessages: 10,
    pingIntervalMs: 1_000,
  };
  const info = {
    userId: "ana",
    device: "phone",
    session: "s",
    socketId: "1",
    connectedAt: 0,
    secret: "secret",
    readReceipts: true,
    ...(claim && { claim }),
  };
  const connection = new Connection(info, false, { link, context, listener });
  await broker.subscribe("ana", hints(connection));
  return connection;
}

/** Hints reach the connection while it hears them. */
const hints = (connection: Connection): MailboxListener => ({
  entry: (entry, epoch) => {
    if (!deaf) connection.entry(entry, epoch);
  },
  signal: (signal) => connection.signal(signal),
  control: () => {},
  interrupted: () => connection.interrupted(),
  cursors() {},
});

let sent = 0;
const send = async (): Promise<void> => {
  sent += 1;
  await broker.publish([{ id: `d${sent}`, userId: "ana", text: `"message",${sent}`, bytes: 11, ttlMs: 60_000 }]);
};

beforeEach(() => {
  sent = 0;
});

test("an entry that arrives while the log is read is not forgotten", async () => {
  const connection = await connect();
  await send();
  const { open } = closeGate();
  await connection.join();
  // The read under way answers with what was there when it was asked.
  await send();
  expect(link.data).toEqual([]);
  open();
  await vi.waitFor(() => expect(link.data).toEqual([1, 2]));
  await vi.waitFor(() => expect(connection.state).toBe("live"));
});

test("an entry that arrives while the start is looked for is not forgotten", async () => {
  const connection = await connect();
  const joined = connection.join();
  await send();
  await joined;
  await vi.waitFor(() => expect(link.data).toEqual([1]));
});

test("a hint of a life that ended before the start was found is no reason to read for ever", async () => {
  const connection = await connect();
  await send();
  await send();
  await broker.purge("ana");
  await connection.join();
  await vi.waitFor(() => expect(connection.state).toBe("live"));
  await send();
  await vi.waitFor(() => expect(link.data).toEqual([3]));
});

test("an interruption while the log is read makes it read again", async () => {
  const connection = await connect();
  await send();
  const { open } = closeGate();
  await connection.join();
  // Accepted while the subscription was down: nobody hints at it.
  deaf = true;
  await send();
  connection.interrupted();
  open();
  await vi.waitFor(() => expect(link.data).toEqual([1, 2]));
});

test("a gap is read back from the log", async () => {
  const connection = await connect();
  await connection.join();
  await vi.waitFor(() => expect(connection.state).toBe("live"));
  deaf = true;
  await send();
  await send();
  deaf = false;
  await send();
  await vi.waitFor(() => expect(link.data).toEqual([1, 2, 3]));
});

test("an epoch that changes under a live connection closes it, to come back", async () => {
  const connection = await connect();
  await send();
  await connection.join();
  await vi.waitFor(() => expect(connection.state).toBe("live"));
  await broker.purge("ana");
  await send();
  await vi.waitFor(() => expect(link.closed).toEqual({ comeBack: true }));
  expect(link.frames.at(-1)).toMatchObject([EVENTS.closing, "secret", { code: "EPOCH_CHANGED", reconnect: true }]);
});

test("a life that begins while the start is looked for is no rewound log", async () => {
  const connection = await connect();
  await send();
  const { epoch, head } = await broker.position("ana");
  const returning = await connect({ epoch, offset: head.offset, at: head.at });
  const { position } = broker;
  const spy = vi.spyOn(broker, "position").mockImplementation(async (...args) => {
    const state = await position.apply(broker, args);
    await broker.purge("ana");
    return state;
  });
  await returning.join();
  spy.mockRestore();
  expect(link.frames).toMatchObject([[EVENTS.closing, "", { code: "EPOCH_CHANGED" }]]);
  expect([connection.state, returning.state]).toEqual(["joining", "closed"]);
});

test("who is sent away before it was told a secret is told why without one", async () => {
  const connection = await connect();
  connection.close("UNAVAILABLE", true);
  expect(link.frames).toMatchObject([[EVENTS.closing, "", { code: "UNAVAILABLE", reconnect: true }]]);
});

/** What happens to a store that lost the last of three messages, and whether the connection hears of it by itself. */
test.each<[string, (connection: Connection) => Promise<void>]>([
  ["another comes under the offset it was given", async () => send()],
  [
    "it has grown to where it was, and nobody heard",
    async (connection) => {
      deaf = true;
      await send();
      connection.interrupted();
    },
  ],
  [
    "it has grown further, and nobody heard",
    async (connection) => {
      deaf = true;
      for (let count = 0; count < 5; count++) await send();
      connection.interrupted();
    },
  ],
  ["nothing was accepted since", async (connection) => connection.interrupted()],
])("a log that lost its newest part under a live connection closes it: %s", async (_, step) => {
  let now = 1_000_000;
  const clock = { ...systemClock, now: () => now };
  const random = (size: number) => new Uint8Array(size);
  broker = memory({ quiet: true, clock, random });
  const connection = await connect();
  await connection.join();
  for (let count = 0; count < 3; count++) await send();
  await vi.waitFor(() => expect(link.data).toEqual([1, 2, 3]));
  // The same epoch and the same beginning.
  broker = memory({ quiet: true, clock, random });
  sent = 0;
  for (let count = 0; count < 2; count++) await send();
  await broker.subscribe("ana", hints(connection));
  now += 10_000;
  await step(connection);
  await vi.waitFor(() => expect(link.closed).toEqual({ comeBack: true }));
  expect(link.frames.at(-1)).toMatchObject([EVENTS.closing, "secret", { code: "EPOCH_CHANGED" }]);
  expect(link.data).toEqual([1, 2, 3]);
});

test("an interruption that lost nothing repeats nothing", async () => {
  const connection = await connect();
  await connection.join();
  for (let count = 0; count < 3; count++) await send();
  connection.interrupted();
  await send();
  await vi.waitFor(() => expect(connection.state).toBe("live"));
  expect(link.data).toEqual([1, 2, 3, 4]);
});

test("a log that cannot be reached for a while is read on from where it was", async () => {
  const connection = await connect();
  await send();
  failure = new UsercastError("UNAVAILABLE");
  await connection.join();
  await new Promise((resolve) => setImmediate(resolve));
  expect(link.closed).toBeUndefined();
  failure = undefined;
  await vi.waitFor(() => expect(link.data).toEqual([1]), { timeout: 5_000 });
  expect(connection.state).toBe("live");
});

test("a log that cannot be read closes the connection, to come back", async () => {
  const connection = await connect();
  await send();
  failure = new Error("the disk is on fire");
  await connection.join();
  await vi.waitFor(() => expect(link.closed).toEqual({ comeBack: true }));
  expect(connection.state).toBe("closed");
});

test("a congested link is given no messages and no signals until there is room", async () => {
  const connection = await connect();
  await connection.join();
  await vi.waitFor(() => expect(connection.state).toBe("live"));
  link.congested = true;
  await send();
  broker.signal("ana", { text: '"typing",1', bytes: 10 });
  expect(link.frames).toHaveLength(1);
  link.congested = false;
  connection.onRoom();
  await vi.waitFor(() => expect(link.data).toEqual([1]));
});
