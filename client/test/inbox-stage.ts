import type { Position } from "@usercast/protocol";
import type { Handler } from "../src/events.ts";
import { Inbox } from "../src/inbox.ts";
import { Lifecycle } from "../src/lifecycle.ts";
import { Listeners } from "../src/listeners.ts";
import { FakeClock } from "./fake-clock.ts";

// The time of acceptance of a message.
const at = (offset: number): number => 1_000 + offset;

/** A place in the mailbox. */
export const place = (offset: number, epoch = "e1"): Position => ({ epoch, offset, at: offset === 0 ? 0 : at(offset) });

/** What an inbox needs of `usercast:ready`. */
export const readyAt = (offset: number, head = 100, epoch = "e1", windowMessages = 256) => ({
  position: place(offset, epoch),
  head: place(head, epoch),
  limits: { windowMessages, maxPayloadBytes: 65_536, idempotencyMs: 86_400_000 },
});

/** An inbox without a socket, with notes of what it told and started. */
export const setup = () => {
  const started: number[] = [];
  const finish = new Map<number, () => void>();
  /** A handler that runs until the test finishes it. */
  const running: Handler = (_, { offset = 0 }) => {
    started.push(offset);
    return new Promise<void>((resolve) => finish.set(offset, resolve));
  };
  const note: Handler = (_, { offset = 0 }) => void started.push(offset);
  const clock = new FakeClock();
  const handlers = new Listeners<Handler>();
  const lifecycle = new Lifecycle();
  const told: [string, unknown][] = [];
  lifecycle.on("missed", ({ after, before, reason }) => told.push(["missed", `${after}-${before} ${reason}`]));
  lifecycle.on("unhandled", ({ info }) => told.push(["unhandled", info.offset]));
  lifecycle.on("error", ({ code }) => told.push(["error", code]));
  const inbox = new Inbox({
    clock,
    handlers,
    lifecycle,
    handlerTimeoutMs: 30_000,
    handlerWaitMs: 5_000,
    onProgress() {},
  });
  const arrive = (offset: number, event = "message", after?: number) =>
    inbox.message({ offset, at: at(offset), ...(after !== undefined && { after }) }, event, `data ${offset}`);
  const handle = (event: string, handler: Handler) => {
    handlers.add(event, handler);
    inbox.wake();
  };
  return { clock, handlers, inbox, told, arrive, handle, started, finish, running, note };
};
