import { expect, test } from "vitest";
import { launchBrowser } from "../support/browser.ts";
import { connectionCount, describeUser, sendAll } from "../support/http.ts";
import { expectInOrderAtLeastOnce, numbered } from "../support/order.ts";
import { owned, shared } from "../support/owned.ts";
import { steadyPort, TestServer } from "../support/server.ts";
import { hasReceived, hasSeen, newTabs, receivedBy, seenBy } from "../support/tabs.ts";
import { TcpProxy } from "../support/tcp-proxy.ts";
import { until } from "../support/wait.ts";

// Tabs of one real browser, of which something breaks: each lives by itself, and none's confirmation robs another.

const server = shared(async () => TestServer.start({ port: await steadyPort() }));
const browser = shared(launchBrowser);

const POLLING = { transports: ["polling"] } as const;
const WEBSOCKET = { transports: ["websocket"] } as const;

const connected = (user: string, count: number): Promise<unknown> =>
  until(`${count} are connected`, async () => (await connectionCount(server(), user)) === count);

const sendSome = (user: string, name: string, count: number): Promise<readonly unknown[]> =>
  sendAll(server(), user, numbered(name, count), { concurrency: 2 });

async function killServer(): Promise<void> {
  await server().kill();
  await server().restart();
}

test("tabs that reload with another transport, with a kill -9 in between, see everything once and in order", async () => {
  const tabs = await newTabs(browser(), server());
  const first = await tabs.open("ana", POLLING);
  const second = await tabs.open("ana", WEBSOCKET);
  await connected("ana", 2);
  const mailbox = [...(await sendSome("ana", "at first", 50))];
  for (const [round, [one, other]] of [
    [WEBSOCKET, POLLING],
    [POLLING, {}],
  ].entries()) {
    const sent = sendSome("ana", `round ${round}`, 60);
    await tabs.visit(first, "ana", one);
    await tabs.visit(second, "ana", other);
    mailbox.push(...(await sent));
    await killServer();
    mailbox.push(...(await sendSome("ana", `after the kill of round ${round}`, 20)));
  }
  for (const tab of [first, second]) {
    await hasSeen(tab, mailbox.length);
    expect(await seenBy(tab)).toEqual(mailbox);
  }
  expect((await describeUser(server(), "ana")).devices).toHaveLength(1);
});

test("a tab and its duplicate go their own ways through a kill -9", async () => {
  const tabs = await newTabs(browser(), server());
  const first = await tabs.open("bo");
  await connected("bo", 1);
  const mailbox = [...(await sendSome("bo", "before", 10))];
  await hasSeen(first, 10);
  const copy = await tabs.duplicate(first);
  await connected("bo", 2);
  mailbox.push(...(await sendSome("bo", "to both", 10)));
  await hasSeen(first, 20);
  await hasSeen(copy, 20);
  await killServer();
  await first.reload();
  mailbox.push(...(await sendSome("bo", "after", 10)));
  for (const tab of [first, copy]) {
    await hasSeen(tab, mailbox.length);
    expect(await seenBy(tab)).toEqual(mailbox);
  }
});

test.each([
  ["when its network recovers", "resume"],
  ["when it connects again", "cut"],
  ["after a kill -9", "kill"],
  ["after a reload", "reload"],
] as const)("what one tab confirms is still given to another that hung, %s", async (_, end) => {
  const user = `cy ${end}`;
  const tabs = await newTabs(browser(), server());
  const network = owned(await TcpProxy.start(server().port));
  const well = await tabs.open(user, WEBSOCKET);
  const hangs = await tabs.open(user, { ...WEBSOCKET, url: network.url });
  await connected(user, 2);
  const mailbox = [...(await sendSome(user, "seen by both", 5))];
  await hasSeen(hangs, 5);
  network.stall();
  mailbox.push(...(await sendSome(user, "seen by one", 300)));
  await hasSeen(well, mailbox.length);
  await until("the device's place is that of the one that is well", async () => {
    return (await describeUser(server(), user)).connections.some(({ confirmed }) => confirmed === mailbox.length);
  });
  expect(await seenBy(hangs)).toHaveLength(5);
  if (end === "kill") await killServer();
  if (end === "reload") await hangs.reload();
  if (end === "resume") network.resume();
  else network.cut();
  mailbox.push(...(await sendSome(user, "after", 5)));
  for (const tab of [well, hangs]) {
    await hasSeen(tab, mailbox.length);
    expect(await seenBy(tab)).toEqual(mailbox);
  }
});

test.each([
  ["when its network recovers", "resume"],
  ["when it connects again", "cut"],
  ["after a kill -9", "kill"],
] as const)("of two plain tabs one hangs: the other goes on, and it is given what it lacked, %s", async (_, end) => {
  const user = `di ${end}`;
  const tabs = await newTabs(browser(), server());
  const network = owned(await TcpProxy.start(server().port));
  const well = await tabs.open(user, { ...WEBSOCKET, plain: true });
  const hangs = await tabs.open(user, { ...WEBSOCKET, plain: true, url: network.url });
  await connected(user, 2);
  const mailbox = [...(await sendSome(user, "received by both", 5))];
  await hasReceived(hangs, mailbox.at(-1));
  network.stall();
  mailbox.push(...(await sendSome(user, "received by one", 300)));
  await hasReceived(well, mailbox.at(-1));
  expect((await receivedBy(hangs)).flat()).toHaveLength(5);
  if (end === "kill") await killServer();
  if (end === "resume") network.resume();
  else network.cut();
  mailbox.push(...(await sendSome(user, "after", 5)));
  for (const tab of [well, hangs]) {
    await hasReceived(tab, mailbox.at(-1));
    expectInOrderAtLeastOnce(await receivedBy(tab), mailbox);
  }
});
