import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";

/** Debian's Chromium; `USERCAST_CHROMIUM` names another one. */
const EXECUTABLE = process.env["USERCAST_CHROMIUM"] ?? "/usr/bin/chromium";

/** Everything a browser does on its own account is switched off; without a sandbox, because containers run as root. */
const SWITCHES = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** A real Chromium without a screen. */
export const launchBrowser = (): Promise<Browser> => chromium.launch({ executablePath: EXECUTABLE, args: SWITCHES });

/** How a person's browser is set up. */
export interface ProfileOptions {
  readonly width?: number;
  readonly height?: number;
  readonly colorScheme?: "light" | "dark";
}

/** One person's browser: its windows share storage, and what goes wrong in any of them is noted. */
export class Profile {
  /** Errors and warnings of pages, blocked resources among them. */
  readonly problems: string[] = [];
  /** Addresses that were asked for. */
  readonly requests: URL[] = [];
  readonly #context: BrowserContext;

  private constructor(context: BrowserContext) {
    this.#context = context;
    context.on("request", (request) => this.requests.push(new URL(request.url())));
    context.on("weberror", (error) => this.problems.push(String(error.error())));
    context.on("console", (message) => {
      if (message.type() === "error" || message.type() === "warning") this.problems.push(message.text());
    });
  }

  static async create(browser: Browser, options: ProfileOptions = {}): Promise<Profile> {
    const { width = 1_280, height = 800, colorScheme = "light" } = options;
    return new Profile(await browser.newContext({ viewport: { width, height }, colorScheme }));
  }

  /** A new window at this address. */
  async open(url: string): Promise<Page> {
    const page = await this.#context.newPage();
    await page.goto(url);
    return page;
  }

  async close(): Promise<void> {
    await this.#context.close();
  }
}
