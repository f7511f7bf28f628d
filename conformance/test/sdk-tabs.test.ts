import { expect, test } from "vitest";
import { launchBrowser } from "../support/browser.ts";
import { connectionCount, describeUser, send, sendAll } from "../support/http.ts";
import { numbered } from "../support/order.ts";
import { shared } from "../support/owned.ts";
import { steadyPort, TestServer } from "../support/server.ts";
import { hasSeen, newTabs, seenBy } from "../support/tabs.ts";
import { until } from "../support/wait.ts";

// Tabs of a real browser with the SDK from the server's own script.

const server = shared(async () => TestServer.start({ port: await steadyPort() }));
const browser = shared(launchBrowser);

test("two tabs live by themselves: both receive, a reload goes on where it was, closing one leaves the other", async () => {
  const tabs = await newTabs(browser(), server());
  const [first, second] = [await tabs.open("ana"), await tabs.open("ana")];
  await until("both are connected", async () => (await connectionCount(server(), "ana")) === 2);
  expect((await describeUser(server(), "ana")).devices).toHaveLength(1);
  await sendAll(server(), "ana", ["one", "two"], { concurrency: 1 });
  await hasSeen(first, 2);
  await hasSeen(second, 2);

  await first.reload();
  await send(server(), "ana", "three");
  await hasSeen(first, 3);
  await hasSeen(second, 3);
  expect(await seenBy(first)).toEqual(["one", "two", "three"]);

  await first.close();
  await until("one is left", async () => (await connectionCount(server(), "ana")) === 1);
  await send(server(), "ana", "four");
  await hasSeen(second, 4);
  expect(await seenBy(second)).toEqual(["one", "two", "three", "four"]);
});

test("a stream through reloads and a kill of the server is seen once and in order", async () => {
  const tab = await (await newTabs(browser(), server())).open("bo");
  await until("the tab is connected", async () => (await connectionCount(server(), "bo")) === 1);
  const mailbox: unknown[] = [];
  for (const round of ["first", "second", "third"]) {
    const sent = sendAll(server(), "bo", numbered(round, 100), { concurrency: 2 });
    await tab.reload();
    mailbox.push(...(await sent));
  }
  await server().kill();
  await server().restart();
  mailbox.push(...(await sendAll(server(), "bo", numbered("after", 20))));
  await hasSeen(tab, mailbox.length);
  expect(await seenBy(tab)).toEqual(mailbox);
});

test("a tab that was opened by another is a session of its own", async () => {
  const tabs = await newTabs(browser(), server());
  const first = await tabs.open("cy");
  await until("the tab is connected", async () => (await connectionCount(server(), "cy")) === 1);
  await send(server(), "cy", "one");
  await hasSeen(first, 1);
  // The browser copies sessionStorage, what was seen included, into the new tab.
  const second = await tabs.duplicate(first);
  await until("both are connected", async () => (await connectionCount(server(), "cy")) === 2);
  await send(server(), "cy", "two");
  await hasSeen(first, 2);
  await hasSeen(second, 2);
  expect(await seenBy(first)).toEqual(["one", "two"]);
  expect(await seenBy(second)).toEqual(["one", "two"]);
});
