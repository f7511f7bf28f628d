import { type Browser, chromium, type Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { GameServer } from "./support.ts";

const EXECUTABLE = process.env["USERCAST_CHROMIUM"] ?? "/usr/bin/chromium";
const patience = { timeout: 15_000 };
const problems: string[] = [];
let server: GameServer;
let browser: Browser;

async function open(me: string, friend: string): Promise<Page> {
  const page = await browser.newPage();
  page.on("pageerror", (error) => problems.push(String(error)));
  page.on("console", (message) => message.type() === "error" && problems.push(message.text()));
  await page.goto(`${server.url}/?${new URLSearchParams({ me, with: friend })}`);
  return page;
}
const shows = (page: Page, state: string) => expect.poll(() => page.locator("#state").textContent(), patience).toBe(state);
const discs = (page: Page, player: number) => page.locator(`button .player-${player}`).count();

beforeAll(async () => {
  server = await GameServer.start();
  browser = await chromium.launch({ executablePath: EXECUTABLE, args: ["--no-sandbox", "--disable-gpu"] });
});
afterAll(async () => {
  await browser?.close();
  await server?.stop();
});

test("two windows show the same board, whose turn it is and where the other one points, also after a reload", async () => {
  const [ana, bo] = [await open("ana", "bo"), await open("bo", "ana")];
  await shows(ana, "Your turn");
  await shows(bo, "ana’s turn");
  await ana.locator("button").nth(3).click();
  await shows(bo, "Your turn");
  await expect.poll(() => ana.locator("#note").textContent(), patience).toBe("bo’s window has your turn.");

  await bo.locator("button").nth(0).hover();
  await expect.poll(() => ana.locator("#pointer").isVisible(), patience).toBe(true);
  const [label, board] = [await ana.locator("#pointer").boundingBox(), await ana.locator("#board").boundingBox()];
  expect((label?.x ?? 0) - (board?.x ?? 0)).toBeLessThan((board?.width ?? 0) / 7);

  await bo.locator("button").nth(0).click();
  await shows(ana, "Your turn");
  await bo.mouse.move(1, 1);
  await expect.poll(() => ana.locator("#pointer").isVisible(), patience).toBe(false);
  await bo.goto("about:blank");
  await ana.locator("button").nth(3).click();
  await expect.poll(() => ana.locator("#note").textContent(), patience).toBe("Your turn is kept until bo is here.");
  await bo.goBack();
  await shows(bo, "Your turn");
  expect([await discs(bo, 0), await discs(bo, 1)]).toEqual([2, 1]);
  expect(problems).toEqual([]);
});
