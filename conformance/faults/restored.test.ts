import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Missed } from "@usercast/protocol";
import { expect, test } from "vitest";
import { describeUser, sendAll } from "../support/http.ts";
import { numbered } from "../support/order.ts";
import { owned } from "../support/owned.ts";
import { RECONNECT } from "../support/reconnect.ts";
import { loadSdk, type SdkClient } from "../support/sdk.ts";
import { steadyPort, TestServer } from "../support/server.ts";
import { TcpProxy } from "../support/tcp-proxy.ts";
import { until } from "../support/wait.ts";

// A data folder that was set back to an older copy, or lost: clients know more than the server does. What they know of it
// that is no more they are told as missed, and nothing else is ever passed off under an offset they know.

const USER = "ana";

/** What a page was told, in that order: messages by offset and content, and ranges that are missed. */
type Told = { readonly offset: number; readonly data: unknown } | { readonly missed: Missed };

interface Page {
  readonly server: TestServer;
  readonly me: SdkClient;
  readonly told: Told[];
  /** What can break between it and the server. */
  readonly network: TcpProxy;
}

async function openPage(server: TestServer): Promise<Page> {
  const { connect } = await loadSdk(server);
  const network = owned(await TcpProxy.start(server.port));
  const told: Told[] = [];
  const me = owned(connect(network.url, { userId: USER, deviceId: "laptop", ackIntervalMs: 0, socketOptions: RECONNECT }));
  me.on("message", (data, { offset }) => void told.push({ offset, data }));
  me.lifecycle.on("missed", (missed: Missed) => told.push({ missed }));
  await until("the page is online", () => me.status === "online");
  return { server, me, told, network };
}

/** Sends messages one after the other, so that their offsets are known. */
const sendInOrder = (server: TestServer, name: string, count: number): Promise<unknown> =>
  sendAll(server, USER, numbered(name, count), { concurrency: 1 });

/** The page has settled everything up to `offset`, and the server knows. */
const hasSettled = (page: Page, offset: number): Promise<unknown> =>
  until(`the page has settled ${offset}`, async () => {
    if (page.me.position?.offset !== offset) return false;
    return (await describeUser(page.server, USER)).connections.some(({ confirmed }) => confirmed === offset);
  });

/** What is told for messages `name 1`, `name 2`, … at the offsets from `first` on. */
const messages = (name: string, first: number, count: number): readonly Told[] =>
  Array.from({ length: count }, (_, i) => ({ offset: first + i, data: `${name} ${i + 1}` }));

/** Stops the server in good order, keeps a copy of its folder and starts it again. */
async function copyOf(server: TestServer): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "usercast-copy-"));
  owned({ close: () => rm(folder, { recursive: true, force: true }) });
  await server.stop();
  await cp(server.dataDir, folder, { recursive: true });
  await server.restart();
  return folder;
}

/** Kills the server, puts a copy in the place of its folder, or nothing, and starts it again. */
async function setBack(server: TestServer, copy?: string): Promise<void> {
  await server.kill();
  await rm(server.dataDir, { recursive: true });
  if (copy !== undefined) await cp(copy, server.dataDir, { recursive: true });
  await server.restart();
}

/** A page at offset 100 of a mailbox whose folder was copied when it stood at 60. */
async function pageAt100(): Promise<{ server: TestServer; page: Page; copy: string }> {
  const server = owned(await TestServer.start({ port: await steadyPort() }));
  const page = await openPage(server);
  await sendInOrder(server, "old", 60);
  await hasSettled(page, 60);
  const copy = await copyOf(server);
  await sendInOrder(server, "lost", 40);
  await hasSettled(page, 100);
  expect(page.told).toEqual([...messages("old", 1, 60), ...messages("lost", 61, 40)]);
  page.told.length = 0;
  return { server, page, copy };
}

test.each([
  ["while the log is shorter than it knows", 0],
  ["when the log has grown to where it stood", 40],
  ["when the log has grown beyond", 50],
])("a page that comes back to an older copy %s is told so before it is given anything else", async (_, grownBy) => {
  const { server, page, copy } = await pageAt100();
  page.network.refuse();
  await setBack(server, copy);
  await sendInOrder(server, "new", grownBy);
  page.network.admit();
  await until("it is told", () => page.told.length > 0);
  await sendInOrder(server, "newer", 50 - grownBy);
  await hasSettled(page, 110);
  expect(page.told).toEqual([
    { missed: { after: 100, before: 61, reason: "rewound" } },
    ...messages("new", 61, grownBy),
    ...messages("newer", 61 + grownBy, 50 - grownBy),
  ]);
});

test("a page that lives on through the restart finds out, too", async () => {
  const { server, page, copy } = await pageAt100();
  await setBack(server, copy);
  await sendInOrder(server, "new", 50);
  await hasSettled(page, 110);
  expect(page.told).toEqual([{ missed: { after: 100, before: 61, reason: "rewound" } }, ...messages("new", 61, 50)]);
});

test("where the copy knows the device at an older place, it begins there", async () => {
  const server = owned(await TestServer.start({ port: await steadyPort() }));
  const page = await openPage(server);
  await sendInOrder(server, "old", 40);
  await hasSettled(page, 40);
  page.network.refuse();
  await sendInOrder(server, "unseen", 20);
  const copy = await copyOf(server);
  page.network.admit();
  await sendInOrder(server, "lost", 40);
  await hasSettled(page, 100);
  page.told.length = 0;

  page.network.refuse();
  await setBack(server, copy);
  await sendInOrder(server, "new", 50);
  page.network.admit();
  await hasSettled(page, 110);
  expect(page.told).toEqual([
    { missed: { after: 100, before: 41, reason: "rewound" } },
    ...messages("unseen", 41, 20),
    ...messages("new", 61, 50),
  ]);
});

test("where the copy knows the device nowhere, it begins with the first message kept", async () => {
  const server = owned(await TestServer.start({ port: await steadyPort() }));
  await sendInOrder(server, "old", 60);
  const copy = await copyOf(server);
  const page = await openPage(server);
  await sendInOrder(server, "lost", 40);
  await hasSettled(page, 100);
  page.told.length = 0;
  page.network.refuse();
  await setBack(server, copy);
  await sendInOrder(server, "new", 50);
  page.network.admit();
  await hasSettled(page, 110);
  expect(page.told).toEqual([
    { missed: { after: 100, before: 1, reason: "rewound" } },
    ...messages("old", 1, 60),
    ...messages("new", 61, 50),
  ]);
});

test("a page that stood before the end of the copy loses nothing and is told nothing", async () => {
  const server = owned(await TestServer.start({ port: await steadyPort() }));
  const page = await openPage(server);
  await sendInOrder(server, "old", 50);
  await hasSettled(page, 50);
  page.network.refuse();
  await sendInOrder(server, "unseen", 10);
  const copy = await copyOf(server);
  await sendInOrder(server, "lost", 40);
  await setBack(server, copy);
  await sendInOrder(server, "new", 50);
  page.network.admit();
  await hasSettled(page, 110);
  expect(page.told).toEqual([...messages("old", 1, 50), ...messages("unseen", 51, 10), ...messages("new", 61, 50)]);
});

test.each([
  ["that is empty still", 0],
  ["that has grown beyond where it stood", 110],
])("a page that comes back to a new folder %s is told that its mailbox began a new life", async (_, grownBy) => {
  const { server, page } = await pageAt100();
  page.network.refuse();
  await setBack(server);
  await sendInOrder(server, "new", grownBy);
  page.network.admit();
  await until("it is told", () => page.told.length > 0);
  await sendInOrder(server, "newer", 110 - grownBy);
  await hasSettled(page, 110);
  expect(page.told).toEqual([
    { missed: { after: 100, before: 1, reason: "epoch" } },
    ...messages("new", 1, grownBy),
    ...messages("newer", 1 + grownBy, 110 - grownBy),
  ]);
});
