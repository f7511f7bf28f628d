import { spawnSync } from "node:child_process";
import type { Locator, Page } from "playwright-core";
import { expect, test } from "vitest";
import { launchBrowser, Profile, type ProfileOptions } from "../support/browser.ts";
import { describeUser, send } from "../support/http.ts";
import { owned, shared } from "../support/owned.ts";
import { steadyPort, TestServer } from "../support/server.ts";
import { until } from "../support/wait.ts";

// The page at `/`, as a person sees it in a real browser: by what is written on it, not by how it is built.

const browser = shared(launchBrowser);
const server = shared(() => TestServer.start());

const profile = async (options: ProfileOptions = {}): Promise<Profile> => owned(await Profile.create(browser(), options));

let people = 0;
/** Somebody no other test knows. */
const newPerson = (): string => `person${++people}`;

const query = (user: string, to: string): string => `?${new URLSearchParams({ user, to })}`;

const sees = (page: Page, text: string | RegExp): Promise<void> => page.getByText(text).first().waitFor();
const status = (page: Page): Locator => page.locator("#status");
const composer = (page: Page): Locator => page.getByRole("textbox", { name: "Message" });
const message = (page: Page, text: string): Locator => page.getByRole("log").getByRole("listitem").filter({ hasText: text });

const isConnected = (page: Page): Promise<void> =>
  status(page)
    .filter({ hasText: /^Connected$/ })
    .waitFor();
const write = async (page: Page, text: string): Promise<void> => {
  await composer(page).fill(text);
  await composer(page).press("Enter");
};
/** Waits until the page says this of a message. */
const says = (page: Page, text: string, state: RegExp): Promise<void> => message(page, text).filter({ hasText: state }).waitFor();

/** Whether somebody looks at a window; a browser without a screen shows all of them. */
const look = (page: Page, isLooking: boolean): Promise<void> =>
  page.evaluate((hidden) => {
    Object.defineProperties(document, {
      hidden: { value: hidden, configurable: true },
      visibilityState: { value: hidden ? "hidden" : "visible", configurable: true },
    });
    document.dispatchEvent(new Event("visibilitychange"));
  }, !isLooking);

/** A window in which `user` talks to `to`. */
async function windowOf(browserProfile: Profile, user: string, to: string, at = server()): Promise<Page> {
  const page = await browserProfile.open(`${at.url}/${query(user, to)}`);
  await isConnected(page);
  return page;
}

test("two windows make a chat, and each message says what became of it", async () => {
  const [ana, bo] = [newPerson(), newPerson()];
  const mine = await profile();
  const anas = await windowOf(mine, ana, bo);
  await sees(anas, "Offline, not seen yet");

  await write(anas, "Are you there?");
  await says(anas, "Are you there?", new RegExp(`Accepted\\s+kept for ${bo}`));

  const bos = await windowOf(mine, bo, ana);
  await message(bos, "Are you there?").waitFor();
  await says(anas, "Are you there?", new RegExp(`Read\\s+by ${bo}`));
  await anas
    .locator("#presence")
    .filter({ hasText: /^Online$/ })
    .waitFor();

  await write(bos, "Now I am.");
  await message(anas, "Now I am.").waitFor();
  await says(bos, "Now I am.", /Read/);

  await bos.close();
  await anas
    .locator("#presence")
    .filter({ hasText: /^Offline since / })
    .waitFor();
  await write(anas, "Gone again?");
  await says(anas, "Gone again?", /Accepted/);

  const back = await windowOf(mine, bo, ana);
  await message(back, "Gone again?").waitFor();
  await says(anas, "Gone again?", /Read/);
  expect(await message(back, "Are you there?").count()).toBe(0);
  expect(mine.problems).toEqual([]);
});

test("a message to somebody who is there but does not answer stays accepted until it is confirmed", async () => {
  const [ana, bo] = [newPerson(), newPerson()];
  const mine = await profile();
  const anas = await windowOf(mine, ana, bo);
  // Connected, and deaf: the page's own thread is stopped, so that nothing is confirmed.
  const bos = await windowOf(mine, bo, ana);
  const debug = await bos.context().newCDPSession(bos);
  await debug.send("Debugger.enable");
  await debug.send("Debugger.pause");
  const paused = bos.evaluate("0").catch(() => {});
  await write(anas, "Look up");
  await says(anas, "Look up", new RegExp(`Accepted\\s+kept for ${bo}`));
  await debug.send("Debugger.disable");
  await says(anas, "Look up", /Read/);
  await paused;
});

test("works with the keyboard alone", async () => {
  const mine = await profile();
  const page = await mine.open(server().url);
  const focused = (): Promise<string> =>
    page.evaluate(() => document.activeElement?.textContent?.trim().replace(/\s+/g, " ") ?? "");
  const ana = newPerson();

  await page.getByRole("heading", { name: "Who are you?" }).waitFor();
  await page.keyboard.press("Enter");
  await sees(page, "Write a name first, any name.");
  await page.keyboard.type(ana);
  await page.keyboard.press("Enter");
  await isConnected(page);
  expect(new URL(page.url()).searchParams.get("user")).toBe(ana);

  // From the composer, which has the focus, forwards and backwards.
  await page.keyboard.type("one");
  await page.keyboard.press("Shift+Enter");
  await page.keyboard.type("two");
  await page.keyboard.press("Enter");
  await says(page, "one\ntwo", /Accepted/);
  await page.keyboard.press("Tab");
  expect(await focused()).toBe("Send");

  await page.getByRole("button", { name: "Go offline" }).focus();
  const order: string[] = [];
  for (let i = 0; i < 4; i++) {
    await page.keyboard.press("Tab");
    order.push(await focused());
  }
  expect(order).toEqual(["Leave", expect.stringMatching(/^A?\s?ana/), expect.stringMatching(/^B?\s?bo/), ""]);
  await page.keyboard.press("Shift+Tab");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { level: 1, name: "bo" }).waitFor();

  // A person who is not in the list.
  await page.getByRole("textbox", { name: "Write to another user id" }).focus();
  await page.keyboard.type("cleo");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { level: 1, name: "cleo" }).waitFor();

  // The draft had the focus: Escape empties it first, and leaves then.
  await page.keyboard.type("never said");
  await page.keyboard.press("Escape");
  expect(await composer(page).inputValue()).toBe("");
  await page.keyboard.press("Escape");
  await page.getByRole("heading", { name: "Who are you?" }).waitFor();
  expect(await page.evaluate(() => document.activeElement?.id)).toBe("user-id");
  await until("the connection is gone", async () => !(await describeUser(server(), ana)).online);

  await page.goBack();
  await isConnected(page);
  expect(mine.problems).toEqual([]);
});

test("shows what the back end sends, by the line it gives to copy", async () => {
  const ana = newPerson();
  const odd = `o'neil "$HOME" & ${newPerson()}`;
  const mine = await profile();
  const anas = await windowOf(mine, ana, odd);

  // What a shell makes of the line, said by a `curl` that only tells its arguments.
  const line = await anas.locator("#call-line").textContent();
  const { stdout } = spawnSync("/bin/sh", ["-c", `curl() { printf '%s\\n' "$@"; }; ${line}`], { encoding: "utf8" });
  const [, method, url = "", , header = "", , body = ""] = stdout.split("\n");
  expect([method, header]).toEqual(["POST", "content-type: application/json"]);
  const [name = "", value = ""] = header.split(": ");
  const answer = await fetch(url, { method: "POST", headers: { [name]: value }, body });
  expect(await answer.json()).toMatchObject({ userId: odd, state: "queued" });

  await anas.getByRole("radio", { name: `${ana} (you)` }).check();
  await anas.getByRole("button", { name: "Run it here" }).click();
  await sees(anas, "pushed, offset 1");
  await message(anas, "Back end").filter({ hasText: "hi" }).waitFor();

  await send(server(), ana, { order: 7 }, { event: "order:shipped" });
  await message(anas, "order:shipped").filter({ hasText: '{"order":7}' }).waitFor();
  await send(server(), ana, "now or never", { volatile: true });
  await says(anas, "now or never", /signal, not kept/);
  expect(mine.problems).toEqual([]);
});

test("goes offline and comes back without losing anything in either direction", async () => {
  const [ana, bo] = [newPerson(), newPerson()];
  const mine = await profile();
  const [anas, bos] = [await windowOf(mine, ana, bo), await windowOf(mine, bo, ana)];
  await anas.getByRole("button", { name: "Go offline" }).click();
  await sees(anas, "Offline, messages wait");
  await write(anas, "from the tunnel");
  await says(anas, "from the tunnel", /Waiting\s+for the connection/);
  await write(bos, "to the tunnel");
  await says(bos, "to the tunnel", /Accepted/);

  await anas.getByRole("button", { name: "Go online" }).click();
  await isConnected(anas);
  await message(anas, "to the tunnel").waitFor();
  await message(bos, "from the tunnel").waitFor();
  await says(anas, "from the tunnel", /Read/);
  await says(bos, "to the tunnel", /Read/);
});

test("tells of a server that dies, and goes on when it is back", async () => {
  const own = owned(await TestServer.start({ port: await steadyPort() }));
  const [ana, bo] = [newPerson(), newPerson()];
  const anas = await windowOf(await profile(), ana, bo, own);
  await write(anas, "in the light");
  await says(anas, "in the light", /Accepted/);
  await own.kill();
  await sees(anas, "Reconnecting, messages wait");
  await write(anas, "into the dark");
  await says(anas, "into the dark", /Waiting/);
  await own.restart();
  await isConnected(anas);
  await says(anas, "into the dark", /Accepted/);
  // What became of a message is told also by a server that did not take it.
  await windowOf(await profile(), bo, ana, own);
  for (const text of ["in the light", "into the dark"]) await says(anas, text, /Read/);
});

test("says what will not come, and who ended the connection", async () => {
  const own = owned(await TestServer.start({ args: ["--max-mailbox-messages", "2"] }));
  const [ana, bo] = [newPerson(), newPerson()];
  const anas = await windowOf(await profile(), ana, bo, own);
  await send(own, ana, "first");
  await message(anas, "first").waitFor();
  await anas.getByRole("button", { name: "Go offline" }).click();
  await until("the connection is gone", async () => !(await describeUser(own, ana)).online);
  for (const text of ["second", "third", "fourth", "fifth"]) await send(own, ana, text);
  await anas.getByRole("button", { name: "Go online" }).click();
  await message(anas, "fifth").waitFor();
  await sees(anas, "2 messages (offsets 2 to 3) will not come: had to make room for newer ones.");

  await fetch(`${own.url}/v1/users/${ana}/connections`, { method: "DELETE" });
  await sees(anas, "Ended by the server: DISCONNECTED");
  await anas.getByRole("button", { name: "Go online" }).click();
  await isConnected(anas);
});

test("a message is read when its conversation is open before somebody's eyes, and not before", async () => {
  const [ana, bo, cleo] = [newPerson(), newPerson(), newPerson()];
  const mine = await profile();
  const [anas, bos, cleos] = [await windowOf(mine, ana, bo), await windowOf(mine, bo, cleo), await windowOf(mine, cleo, bo)];
  await write(anas, "unseen");
  await says(anas, "unseen", new RegExp(`Delivered\\s+to ${bo}`));
  // Later, and open: but a mark would cover what waits in the other conversation.
  await write(cleos, "seen");
  await message(bos, "seen").waitFor();
  await says(cleos, "seen", /Delivered/);
  // One confirmation would have told both.
  expect(await message(cleos, "seen").textContent()).not.toContain("Read");

  await bos.getByRole("button", { name: ana }).click();
  await says(anas, "unseen", new RegExp(`Read\\s+by ${bo}`));
  await says(cleos, "seen", /Read/);

  // Away from the window nothing is read, until somebody looks again.
  await look(bos, false);
  await write(anas, "behind your back");
  await says(anas, "behind your back", /Delivered/);
  expect(await bos.title()).toBe(`(1) ${bo} · Usercast`);
  await look(bos, true);
  await says(anas, "behind your back", /Read/);
  expect(await bos.title()).toBe(`${bo} · Usercast`);
  expect(mine.problems).toEqual([]);
});

test("what was read in one window is not unread in another", async () => {
  const [ana, bo, cleo] = [newPerson(), newPerson(), newPerson()];
  const anas = await windowOf(await profile(), ana, bo);
  const [first, second] = [await windowOf(await profile(), bo, ana), await windowOf(await profile(), bo, cleo)];
  await look(first, false);
  await write(anas, "Hello there");
  const entry = second.getByRole("button", { name: ana });
  await entry.filter({ has: second.getByLabel("1 unread") }).waitFor();
  await look(first, true);
  await says(anas, "Hello there", /Read/);
  await entry.getByLabel("1 unread").waitFor({ state: "hidden" });
});

test("counts what comes from others while one talks to somebody", async () => {
  const [ana, bo, cleo] = [newPerson(), newPerson(), newPerson()];
  const mine = await profile();
  const [anas, cleos] = [await windowOf(mine, ana, bo), await windowOf(mine, cleo, ana)];
  await write(cleos, "Psst");
  const entry = anas.getByRole("button", { name: cleo });
  await entry.filter({ has: anas.getByLabel("1 unread") }).waitFor();
  expect(await anas.title()).toBe(`(1) ${ana} · Usercast`);
  expect(await message(anas, "Psst").count()).toBe(0);

  await composer(anas).fill("a draft for bo");
  await entry.click();
  await message(anas, "Psst").waitFor();
  expect(await composer(anas).inputValue()).toBe("");
  expect(await anas.title()).toBe(`${ana} · Usercast`);
  await anas.getByRole("button", { name: bo }).click();
  expect(await composer(anas).inputValue()).toBe("a draft for bo");
});

test("says why a message was not sent, and why nobody can have such an id", async () => {
  const ana = newPerson();
  const mine = await profile();
  const page = await windowOf(mine, ana, newPerson());
  await write(page, "x".repeat(70_000));
  await says(page, "xxx", /Not sent\s+It is larger than the server accepts \(PAYLOAD_TOO_LARGE\)/);
  await page.getByRole("button", { name: "Send again" }).click();
  await says(page, "xxx", /Not sent/);

  await page.goto(`${server().url}/?user=${"x".repeat(513)}`);
  await sees(page, /A user id has 1 to 512 bytes and no control characters \(INVALID_USER_ID\)/);
  await page.getByRole("heading", { name: "Who are you?" }).waitFor();
});

test("opens the second window as the other person", async () => {
  const [ana, bo] = [newPerson(), newPerson()];
  const anas = await windowOf(await profile(), ana, bo);
  const opened = anas.context().waitForEvent("page");
  await anas.getByRole("link", { name: `Open as ${bo}` }).click();
  const bos = await opened;
  await isConnected(bos);
  await sees(bos, bo);
  await write(bos, "It is me");
  await message(anas, "It is me").waitFor();
});

test("takes ids and data for text, whatever they look like", async () => {
  const markup = `<img src=x onerror="document.title='broken into'">`;
  const mine = await profile();
  const page = await windowOf(mine, markup, "__proto__");
  await write(page, markup);
  await says(page, markup, /Accepted\s+kept for __proto__/);
  await send(server(), markup, { [markup]: [markup] });
  await message(page, "Back end").waitFor();
  expect(await page.locator("img").count()).toBe(0);
  expect(await page.title()).toContain("<img");
  expect(mine.problems).toEqual([]);
});

test.each([
  [360, 640, "light"],
  [390, 844, "dark"],
  [768, 1_024, "light"],
  [1_440, 900, "dark"],
] as const)("fits a screen of %i by %i, in %s colours, and asks nobody else for anything", async (width, height, colorScheme) => {
  const mine = await profile({ width, height, colorScheme });
  const overflow = (page: Page): Promise<number> => page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  const page = await mine.open(server().url);
  await page.getByRole("heading", { name: "Who are you?" }).waitFor();
  expect(await overflow(page)).toBe(0);

  const to = "a person with quite a long name, as people have them ".repeat(9);
  await page.goto(`${server().url}/${query(newPerson(), to)}`);
  await isConnected(page);
  await write(page, "longer than any line ".repeat(20));
  await says(page, "longer than", /Accepted/);
  expect(await overflow(page)).toBe(0);
  for (const name of ["Send", "Leave", "Go offline"]) {
    const box = await page.getByRole("button", { name, exact: true }).boundingBox();
    expect(box && box.x >= 0 && box.x + box.width <= width && box.y + box.height <= height, `${name} is in sight`).toBe(true);
  }
  expect(
    [...new Set(mine.requests.map(({ origin }) => origin.replace(/^ws/, "http")))].filter((origin) => origin !== "null"),
  ).toEqual([server().url]);
  expect(mine.problems).toEqual([]);
});
