import type { Browser, BrowserContext, Page } from "playwright-core";
import type { Addressed } from "./http.ts";
import { owned } from "./owned.ts";
import { RECONNECT } from "./reconnect.ts";
import { until } from "./wait.ts";

/** How a tab connects. */
export interface TabOptions {
  /** Where to, if not to the server that the page is from. */
  readonly url?: string;
  /** @default Socket.IO's own: polling first, then WebSocket */
  readonly transports?: readonly ("polling" | "websocket")[];
  /** With Socket.IO's own client alone. */
  readonly plain?: boolean;
}

/** What a tab has seen is kept where a reload finds it again; a plain one keeps a list for each connection. */
const PAGE = `<!doctype html>
<script src="/socket.io/socket.io.js"></script>
<script src="/usercast.js"></script>
<script>
  const query = new URLSearchParams(location.search);
  const userId = query.get("user");
  const url = query.get("url") ?? location.origin;
  const transports = query.get("transports");
  const options = { ...${JSON.stringify(RECONNECT)}, ...(transports && { transports: transports.split(",") }) };
  const seen = () => JSON.parse(sessionStorage.getItem("seen") ?? "[]");
  const keep = (all) => sessionStorage.setItem("seen", JSON.stringify(all));
  const note = (data) => keep([...seen(), data]);
  if (query.has("plain")) {
    const socket = io(url, options);
    socket.on("connect", () => {
      keep([...seen(), []]);
      socket.emit("register", userId);
    });
    socket.on("message", (data) => keep([...seen().slice(0, -1), [...seen().at(-1), data]]));
  } else {
    const me = usercast.connect(url, { userId, socketOptions: options });
    me.on("message", note);
    me.lifecycle.on("missed", (missed) => note({ missed }));
    me.lifecycle.on("error", (error) => note({ error: error.code }));
  }
</script>`;

/** One browser profile: its tabs share what an origin stores. */
export class Tabs {
  readonly #context: BrowserContext;
  readonly #server: Addressed;

  constructor(context: BrowserContext, server: Addressed) {
    this.#context = context;
    this.#server = server;
  }

  /** Opens a tab of this user. */
  async open(user: string, options: TabOptions = {}): Promise<Page> {
    const page = await this.#context.newPage();
    await this.visit(page, user, options);
    return page;
  }

  /** Loads the page anew in a tab that may have been there before. */
  async visit(page: Page, user: string, { url, transports, plain }: TabOptions = {}): Promise<void> {
    const query = new URLSearchParams({
      user,
      ...(url !== undefined && { url }),
      ...(transports !== undefined && { transports: transports.join() }),
      ...(plain && { plain: "" }),
    });
    await page.goto(`${this.#server.url}/tab.html?${query}`);
  }

  /** Opens a tab from another: the browser copies its sessionStorage, what was seen included. */
  async duplicate(page: Page): Promise<Page> {
    const [copy] = await Promise.all([this.#context.waitForEvent("page"), page.evaluate("void window.open(location.href)")]);
    return copy;
  }
}

/** A browser profile for the test that runs now. */
export async function newTabs(browser: Browser, server: Addressed): Promise<Tabs> {
  // A page that no server served counts as one of the open Internet, whose WebSockets to this machine Chromium blocks.
  const context = owned(await browser.newContext({ permissions: ["local-network-access"] }));
  await context.route("**/tab.html*", (route) => route.fulfill({ contentType: "text/html", body: PAGE }));
  return new Tabs(context, server);
}

/** What a tab with the SDK has seen since it was opened, through reloads. */
export const seenBy = (page: Page): Promise<unknown[]> => page.evaluate("seen()");

/** What a plain tab has received, by connection. */
export const receivedBy = (page: Page): Promise<unknown[][]> => page.evaluate("seen()");

/** Waits until a tab with the SDK has seen so much. */
export const hasSeen = (page: Page, count: number): Promise<unknown> =>
  until(`the tab has seen ${count}`, async () => (await seenBy(page)).length >= count);

/** Waits until a plain tab has received this. */
export const hasReceived = (page: Page, data: unknown): Promise<unknown> =>
  until(`the tab has received ${data}`, async () => (await receivedBy(page)).flat().includes(data));
