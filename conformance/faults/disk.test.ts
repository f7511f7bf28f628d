import { randomBytes } from "node:crypto";
import { EVENTS } from "@usercast/protocol";
import { expect, test } from "vitest";
import { FAILING_DISKS, readOnlyFolder } from "../support/disk.ts";
import { describeUser, send } from "../support/http.ts";
import { owned } from "../support/owned.ts";
import { NEWEST, type PlainClient, registeredClient } from "../support/plain.ts";
import { RECONNECT } from "../support/reconnect.ts";
import { loadSdk } from "../support/sdk.ts";
import { steadyPort, TestServer } from "../support/server.ts";
import { registeredSpeaker } from "../support/speaker.ts";
import { until } from "../support/wait.ts";
import { brokenPromises, type Handled } from "../support/witnesses.ts";

// A disk that takes nothing more: senders are told, readers go on, and nothing that was accepted is lost.

const USER = "ana";
/** More than any of these disks takes, in all. */
const MAX_TRIES = 600;
/** The server's default: more it does not push to one that confirms nothing. */
const WINDOW_MESSAGES = 256;
/** Failures in a row after which the disk counts as full: a smaller message may still find a gap. */
const ENOUGH_FAILURES = 20;

/** A message that nothing could compress, and that can be told from all others. */
const big = (name: string): string => `${name} ${randomBytes(3_000).toString("base64")}`;

class Senders {
  readonly sent = new Map<string, { readonly keyed: boolean }>();
  readonly accepted = new Map<string, number>();
  readonly #server: TestServer;

  constructor(server: TestServer) {
    this.#server = server;
  }

  /** Sends a message with a key; answers whether it was accepted. Any refusal but the store's is a fault. */
  async send(data: string): Promise<boolean> {
    // Counts as one that has to be kept once it was accepted, and as one that may be lost before.
    const answer = await send(this.#server, USER, data, { key: data.slice(0, 40) });
    this.sent.set(data, { keyed: answer.offset !== undefined });
    if (answer.offset !== undefined) this.accepted.set(data, answer.offset);
    else expect(answer).toMatchObject({ status: 503, error: { code: "STORE_FAILED" } });
    return answer.offset !== undefined;
  }

  /** Sends until the store refuses what it is given; answers what it refused. */
  async untilRefused(name: string): Promise<readonly string[]> {
    const refused: string[] = [];
    for (let i = 1; refused.length < ENOUGH_FAILURES; i++) {
      if (i > MAX_TRIES) throw new Error("The disk does not fail.");
      const data = big(`${name} ${i}`);
      if (!(await this.send(data))) refused.push(data);
    }
    return refused;
  }
}

test.each(Object.entries(FAILING_DISKS))("where the disk %s", async (_, newDisk) => {
  const disk = owned(newDisk());
  const server = owned(await TestServer.start({ port: await steadyPort(), dataDir: disk.dataDir }));
  const { connect } = await loadSdk(server);
  const handled: Handled[] = [];
  const trouble: unknown[] = [];
  const me = owned(connect(server.url, { userId: USER, socketOptions: RECONNECT }));
  me.on("message", (data, { offset, volatile }) => void (volatile || handled.push({ offset, data: String(data) })));
  const signals: unknown[] = [];
  me.on("signal", (data) => void signals.push(data));
  for (const event of ["missed", "error", "unhandled"])
    me.lifecycle.on(event, (what: unknown) => trouble.push({ [event]: what }));
  const plain = await registeredClient(NEWEST, server, USER, { count: 2 });

  const senders = new Senders(server);
  for (let i = 1; i <= 50; i++) expect(await senders.send(big(`before ${i}`))).toBe(true);
  disk.fail(server);
  const refused = await senders.untilRefused("while it fails");

  // Readers go on: those who are there have everything, and so has one who comes now.
  const hasAll = (client: PlainClient): boolean => client.received().length >= senders.accepted.size;
  await until("the SDK has all that was accepted", () => handled.length >= senders.accepted.size);
  await until("the plain client has it, too", () => hasAll(plain));
  expect(await describeUser(server, USER)).toMatchObject({ online: true });
  const beginning = { epoch: me.position?.epoch, offset: 0, at: 0 };
  const late = await registeredSpeaker(server, USER, { device: "late", position: beginning });
  const lateHas = (): number => late.heard.filter(([name]) => name === EVENTS.message).length;
  await until("one who comes now has it", () => lateHas() >= Math.min(senders.accepted.size, WINDOW_MESSAGES));
  expect(await send(server, USER, "ping", { event: "signal", volatile: true })).toMatchObject({ status: 202 });
  await until("a signal comes", () => signals.length === 1);

  // With room again, what was refused is accepted under its key, once.
  disk.recover(server);
  await until("the store takes messages again", () => senders.send(big("the first one after")));
  for (const data of refused) expect(await senders.send(data)).toBe(true);
  for (const data of refused) expect(await senders.send(data)).toBe(true);
  await server.kill();
  await server.restart();
  expect(await senders.send("the last one")).toBe(true);
  await until("the SDK has the last one", () => handled.at(-1)?.data === "the last one");
  await until("the plain client has the last one", () => plain.received().at(-1) === "the last one");

  expect(trouble).toEqual([]);
  const { sent, accepted } = senders;
  const pages = new Map([["the page", handled]]);
  expect(brokenPromises({ sent, accepted, pages, plain: new Map([["the plain client", plain.connections]]) })).toEqual([]);
});

test("a folder that is read-only from the start is refused in words", async () => {
  const { dataDir } = owned(readOnlyFolder());
  const refusal = await TestServer.start({ dataDir }).then(owned, (error: unknown) => String(error));
  expect(refusal).toMatch(/ended at its start with code 1/);
  expect(refusal).toContain(`The data folder ${dataDir} cannot be used: E`);
});
