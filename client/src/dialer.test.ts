import { EventEmitter } from "node:events";
import { UsercastError } from "@usercast/protocol";
import type { Socket } from "socket.io-client";
import { beforeEach, expect, test } from "vitest";
import { FakeClock, settled } from "../test/fake-clock.ts";
import { Dialer } from "./dialer.ts";
import { Lifecycle, type Status } from "./lifecycle.ts";

/** As much of a Socket.IO socket as dialing needs. */
class StubSocket extends EventEmitter {
  active = false;
  dials = 0;
  auth: (answer: (auth: object) => void) => void = () => undefined;

  connect(): void {
    this.active = true;
    this.dials += 1;
  }

  disconnect(): void {
    this.active = false;
  }

  /** The server ends the connection for good. */
  sentAway(): void {
    this.active = false;
    this.emit("disconnect", "io server disconnect");
  }
}

let clock: FakeClock;
let socket: StubSocket;
let lifecycle: Lifecycle;
let states: Status[];
let ended: UsercastError[];
let auth: () => Promise<object>;
let dialer: Dialer;

const expired = { code: "TOKEN_EXPIRED", message: "expired", reconnect: false } as const;

beforeEach(() => {
  clock = new FakeClock();
  socket = new StubSocket();
  lifecycle = new Lifecycle();
  states = [];
  ended = [];
  auth = async () => ({ token: "t" });
  lifecycle.on("status", (status) => states.push(status));
  lifecycle.on("error", () => undefined); // not to the console
  dialer = new Dialer({
    socket: socket as unknown as Socket,
    clock,
    lifecycle,
    refreshable: true,
    auth: () => auth(),
    onConnected: () => undefined,
    onDisconnected: () => undefined,
    onEnded: (error) => ended.push(error),
  });
});

/** Milliseconds until the next dial. */
const waited = (): number => {
  const { dials } = socket;
  for (let ms = 0; ms <= 60_000; ms += 500) {
    if (socket.dials > dials) return ms;
    clock.advance(500);
  }
  return Number.POSITIVE_INFINITY;
};

test("refusals are answered with waits that double, and begin again once the server accepts", () => {
  clock.advance(0);
  const waits: number[] = [];
  for (let i = 0; i < 7; i++) {
    socket.emit("connect");
    dialer.announced(expired);
    socket.sentAway();
    waits.push(waited());
  }
  expect(waits).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
  socket.emit("connect");
  dialer.accepted();
  dialer.announced(expired);
  socket.sentAway();
  expect(waited()).toBe(1_000);
});

test("a stream that breaks again and again waits longer though the server accepts each time, until it makes progress", () => {
  clock.advance(0);
  const breaks = (): number => {
    socket.emit("connect");
    dialer.accepted();
    dialer.redial("broken");
    return waited();
  };
  expect([breaks(), breaks(), breaks()]).toEqual([1_000, 2_000, 4_000]);
  dialer.progressed();
  expect(breaks()).toBe(1_000);
});

test("what was announced on an earlier connection does not excuse this one", () => {
  clock.advance(0);
  socket.emit("connect");
  dialer.announced(expired);
  socket.emit("disconnect", "transport close");
  socket.emit("connect");
  socket.sentAway();
  expect(dialer.status).toBe("closed");
  expect(ended).toHaveLength(1);
});

test("a handshake whose token comes too late is not answered", async () => {
  const answers: object[] = [];
  const tokens: ((auth: object) => void)[] = [];
  auth = () => new Promise((resolve) => tokens.push(resolve));
  clock.advance(0);
  socket.auth((answer) => answers.push(answer));
  socket.auth((answer) => answers.push(answer));
  tokens[0]?.({ token: "old" });
  tokens[1]?.({ token: "new" });
  await settled();
  expect(answers).toEqual([{ token: "new" }]);
});

test.each(["status", "error"] as const)("a listener of %s that closes the client is obeyed", async (event) => {
  auth = () => Promise.reject(new UsercastError("INTERNAL"));
  lifecycle.on(event, () => dialer.close());
  clock.advance(0);
  socket.auth(() => undefined);
  await settled();
  expect(dialer.status).toBe("closed");
  expect(waited()).toBe(Number.POSITIVE_INFINITY);
  expect(clock.waiting).toBe(0);
});

test("a connection that Socket.IO makes again by itself is left to it", () => {
  clock.advance(0);
  socket.emit("connect");
  dialer.accepted();
  socket.emit("disconnect", "ping timeout");
  expect(states).toEqual(["online", "offline"]);
  expect(clock.waiting).toBe(0);
});
