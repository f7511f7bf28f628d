import { afterEach, beforeEach, expect, vi } from "vitest";
import type { Client } from "../src/client.ts";
import { connect } from "../src/connect.ts";
import type { Status } from "../src/lifecycle.ts";
import type { ConnectOptions } from "../src/options.ts";
import { FakeServer } from "./fake-server.ts";

/** Options that do not make a test wait. */
export const fast: ConnectOptions = {
  ackIntervalMs: 0,
  socketOptions: { forceNew: true, transports: ["websocket"], reconnectionDelay: 10, reconnectionDelayMax: 20 },
};

/** Waits for a condition. */
export const until = (check: () => void): Promise<void> => vi.waitFor(check, { timeout: 5_000, interval: 5 });

/** A new server for each test of the file, and clients that are closed after it. */
export class Stage {
  server = new FakeServer();
  url = "";
  readonly #clients: Client[] = [];

  constructor() {
    beforeEach(async () => {
      this.server = new FakeServer();
      this.url = await this.server.listen();
    });
    afterEach(async () => {
      for (const client of this.#clients.splice(0)) client.close();
      await this.server.close();
    });
  }

  /** Waits until so many connections were made. */
  connections(count: number): Promise<void> {
    return until(() => expect(this.server.connections).toHaveLength(count));
  }

  /** A client with notes of what it told. */
  open(options: ConnectOptions = {}, target: Parameters<typeof connect>[0] = this.url) {
    const me = connect(target, { ...fast, ...options });
    this.#clients.push(me);
    const got: unknown[] = [];
    const errors: string[] = [];
    const states: Status[] = [];
    const told: unknown[] = [];
    me.lifecycle.on("error", ({ code }) => errors.push(code));
    me.lifecycle.on("status", (status) => states.push(status));
    me.lifecycle.on("missed", (missed) => told.push(missed));
    return { me, got, errors, states, told, note: (data: unknown) => void got.push(data) };
  }
}
