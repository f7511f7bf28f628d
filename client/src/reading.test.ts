import { beforeEach, describe, expect, test } from "vitest";
import { FakeClock } from "../test/fake-clock.ts";
import { place } from "../test/inbox-stage.ts";
import { Stage, until } from "../test/stage.ts";
import { Lifecycle } from "./lifecycle.ts";
import { Reading } from "./reading.ts";

const INTERVAL_MS = 100;

let clock: FakeClock;
let reading: Reading;
let told: number[];
let errors: string[];
let sent: { offset: number; answered: (answer?: unknown) => void }[];

const readingOf = (epoch?: string): Reading => {
  const lifecycle = new Lifecycle();
  lifecycle.on("read", ({ offset }) => told.push(offset));
  lifecycle.on("error", ({ code }) => errors.push(code));
  const send = (offset: number, answered: (answer?: unknown) => void) => sent.push({ offset, answered });
  return new Reading({ clock, lifecycle, ackIntervalMs: INTERVAL_MS, send }, epoch);
};
const begin = (read: number, epoch = "e1", head = 100): void => {
  reading.begin({ position: place(0, epoch), head: place(head, epoch), read });
  reading.tell();
};
const mark = (offset: number, newest = 100): void => reading.mark(offset, newest);
const offsets = () => sent.map(({ offset }) => offset);

beforeEach(() => {
  clock = new FakeClock();
  told = [];
  errors = [];
  sent = [];
  reading = readingOf();
});

describe("marks", () => {
  test("are gathered, and only the furthest is told", () => {
    begin(0);
    for (const offset of [3, 5, 4]) mark(offset);
    expect(reading.offset).toBe(5);
    expect(told).toEqual([3, 5]);
    expect(sent).toEqual([]);
    clock.advance(INTERVAL_MS);
    expect(offsets()).toEqual([5]);
    mark(5);
    clock.advance(INTERVAL_MS);
    expect(offsets()).toEqual([5]);
  });

  test("made without a connection are told on the next", () => {
    mark(3);
    clock.advance(INTERVAL_MS);
    begin(1);
    clock.advance(INTERVAL_MS);
    expect(offsets()).toEqual([3]);
    reading.end();
    mark(7);
    clock.advance(INTERVAL_MS);
    begin(3);
    clock.advance(INTERVAL_MS);
    expect(offsets()).toEqual([3, 7]);
  });

  test("that the server does not know are told again, those that it knows are not", () => {
    begin(0);
    mark(5);
    clock.advance(INTERVAL_MS);
    sent[0]?.answered({ ok: true });
    reading.end();
    begin(4);
    clock.advance(INTERVAL_MS);
    expect(offsets()).toEqual([5, 5]);
    sent[1]?.answered();
    reading.end();
    begin(5);
    clock.advance(INTERVAL_MS);
    expect(offsets()).toEqual([5, 5]);
    expect(told).toEqual([5]);
  });

  test("count up to the newest message that is known", () => {
    begin(0, "e1", 10);
    mark(Number.MAX_SAFE_INTEGER, 10);
    expect(reading.offset).toBe(10);
    mark(11, 12);
    expect(reading.offset).toBe(11);
  });

  test("made before anything was known count up to the newest message that there is", () => {
    mark(50, Number.POSITIVE_INFINITY);
    begin(0, "e1", 10);
    clock.advance(INTERVAL_MS);
    expect(offsets()).toEqual([10]);
    expect(reading.offset).toBe(10);
  });

  test.each([-1, 1.5, Number.NaN, "3" as unknown as number])("of %s are refused", (offset) => {
    expect(() => mark(offset)).toThrow(expect.objectContaining({ code: "INVALID_POSITION" }));
    expect(reading.offset).toBe(0);
  });

  test("that the server refuses are taken back, reported, and not told again", () => {
    begin(2);
    mark(5);
    clock.advance(INTERVAL_MS);
    sent[0]?.answered({ ok: false, error: { code: "INVALID_ACK", message: "no" } });
    expect(errors).toEqual(["INVALID_ACK"]);
    expect(reading.offset).toBe(2);
    reading.end();
    begin(2);
    clock.advance(INTERVAL_MS);
    expect(offsets()).toEqual([5]);
  });

  test("leave at once when the page goes", () => {
    begin(0);
    mark(5);
    expect(reading.flush()).toBe(true);
    expect(reading.flush()).toBe(false);
    expect(offsets()).toEqual([5]);
    expect(clock.waiting).toBe(0);
  });

  test("of one life of the mailbox are void in the next", () => {
    begin(0);
    mark(5);
    reading.end();
    mark(6);
    begin(1, "e2");
    clock.advance(INTERVAL_MS);
    expect(sent).toEqual([]);
    expect(reading.offset).toBe(1);
    expect(told).toEqual([5, 6, 1]);
  });

  test("of a page that was loaded again belong to the life that it knew", () => {
    reading = readingOf("e1");
    mark(5);
    begin(0, "e2");
    clock.advance(INTERVAL_MS);
    expect(sent).toEqual([]);
    reading = readingOf("e2");
    mark(5);
    begin(0, "e2");
    clock.advance(INTERVAL_MS);
    expect(offsets()).toEqual([5]);
  });
});

describe("what was read elsewhere", () => {
  test("is told when it moves", () => {
    begin(3);
    for (const offset of [4, 4, 2, 9]) reading.heard(offset);
    expect(told).toEqual([3, 4, 9]);
  });

  test("makes a mark below it needless", () => {
    begin(0);
    reading.heard(9);
    mark(5);
    expect(reading.offset).toBe(9);
    expect(told).toEqual([9]);
  });

  test("counts no more where the store was set back to before it", () => {
    begin(9);
    reading.end();
    begin(3, "e1", 5);
    expect(reading.offset).toBe(5);
    expect(told).toEqual([9, 5]);
  });

  test("is forgotten with its user", () => {
    begin(3);
    reading.clear();
    begin(0);
    expect(reading.offset).toBe(0);
    expect(told).toEqual([3, 0]);
  });
});

describe("over a connection", () => {
  const stage = new Stage();
  const open = () => {
    const opened = stage.open();
    const offsetsRead: number[] = [];
    opened.me.lifecycle.on("read", ({ offset }) => offsetsRead.push(offset));
    return { ...opened, read: offsetsRead };
  };
  const log = () => {
    stage.server.log = [1, 2, 3].map((offset) => ({ offset, at: 1_000 + offset, event: "message", data: offset }));
  };

  test("a mark reaches the server, and what it says reaches the page", async () => {
    log();
    stage.server.onConnection = (connection) => connection.accept({ read: 1 });
    const { me, read } = open();
    const atReady: number[] = [];
    me.lifecycle.on("ready", () => atReady.push(me.readOffset));
    await until(() => expect(read).toEqual([1]));
    expect(atReady).toEqual([1]);
    me.markRead(2);
    await until(() => expect(stage.server.last.reads).toEqual([2]));
    stage.server.last.socket.emit("usercast:read", "guess", 9);
    stage.server.last.read(3);
    await until(() => expect(read).toEqual([1, 2, 3]));
    expect(me.readOffset).toBe(3);
  });

  test("a mark made offline reaches the server after `ready`, also one made there", async () => {
    log();
    stage.server.cursor = 3;
    const { me, read } = open();
    me.markRead(2);
    me.lifecycle.on("ready", () => me.markRead(3));
    await until(() => expect(stage.server.last.reads.at(-1)).toBe(3));
    expect(read).toEqual([2, 3]);
  });

  test("a new life of the mailbox drops what was marked in the old one", async () => {
    log();
    const { me, read } = open();
    await until(() => expect(me.status).toBe("online"));
    stage.server.last.break();
    await until(() => expect(me.status).toBe("offline"));
    me.markRead(3);
    stage.server.epoch = "epoch-2";
    await until(() => expect(me.status).toBe("online"));
    await me.to("bo").emit("message", "after the time for marks");
    expect(stage.server.last.reads).toEqual([]);
    expect(read).toEqual([3, 0]);
  });

  test("a mark leaves at once when the page is hidden", async () => {
    log();
    const { me } = stage.open({ ackIntervalMs: 10_000 });
    await until(() => expect(me.status).toBe("online"));
    me.markRead(2);
    me.pageHidden();
    await until(() => expect(stage.server.last.reads).toEqual([2]));
  });

  test("the last mark is heard before the client leaves", async () => {
    log();
    const { me } = stage.open({ ackIntervalMs: 10_000 });
    await until(() => expect(me.status).toBe("online"));
    me.markRead(2);
    me.close();
    await until(() => expect(stage.server.last.socket.connected).toBe(false));
    expect(stage.server.last.reads).toEqual([2]);
  });
});
