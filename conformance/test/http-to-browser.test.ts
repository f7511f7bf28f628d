import { execFile } from "node:child_process";
import { promisify } from "node:util";
import type { Page } from "playwright-core";
import { describe, expect, test } from "vitest";
import { launchBrowser } from "../support/browser.ts";
import { connectionCount, describeUser } from "../support/http.ts";
import { owned, shared } from "../support/owned.ts";
import { steadyPort, TestServer } from "../support/server.ts";
import { until } from "../support/wait.ts";

// The way of one message from a back end's curl to an untouched page, as the README tells it.

const USER = "user123";
const browser = shared(launchBrowser);

const run = promisify(execFile);

/** The quick start's line, in a shell, with the port of the server under test. */
async function curl(server: TestServer): Promise<unknown> {
  const line = `curl -X POST localhost:3000/v1/users/user123/messages -H 'content-type: application/json' -d '{"data":"hi"}'`;
  const { stdout } = await run("/bin/sh", ["-c", line.replace(":3000/", `:${server.port}/`)]);
  return JSON.parse(stdout);
}

/** Opens the seed's page and collects what it writes to its console. */
async function openPage(address: string): Promise<{ readonly page: Page; readonly logged: readonly string[] }> {
  const page = owned(await browser().newPage());
  const logged: string[] = [];
  page.on("console", (message) => logged.push(message.text()));
  page.on("pageerror", (error) => logged.push(String(error)));
  await page.goto(address);
  return { page, logged };
}

describe.each(["localhost", "127.0.0.1"])("a page opened on %s", (host) => {
  test("shows at once what curl sends", async () => {
    const server = owned(await TestServer.start());
    const { logged } = await openPage(`http://${host}:${server.port}/plain.html`);
    await until("the page is registered", async () => (await connectionCount(server, USER)) === 1);
    expect(await curl(server)).toMatchObject({ userId: USER, state: "pushed", offset: 1 });
    await until("the message is there", () => logged.length > 0);
    expect(logged).toEqual(["Received message: hi"]);
  });

  test("shows what curl sent before it was opened, also when the server was killed in between", async () => {
    const server = owned(await TestServer.start({ port: await steadyPort() }));
    expect(await curl(server)).toMatchObject({ state: "queued", offset: 1 });
    await server.kill();
    await server.restart();
    const { logged } = await openPage(`http://${host}:${server.port}/plain.html`);
    await until("the message is there", () => logged.length > 0);
    expect(logged).toEqual(["Received message: hi"]);
  });
});

test("a page that stays open through a kill comes back by itself", async () => {
  const server = owned(await TestServer.start({ port: await steadyPort() }));
  const { logged } = await openPage(`${server.url}/plain.html`);
  await until("the page is registered", async () => (await connectionCount(server, USER)) === 1);
  await server.kill();
  await server.restart();
  await curl(server);
  await until("the message is there", () => logged.includes("Received message: hi"));
});

test("a page that is closed makes its user offline", async () => {
  const server = owned(await TestServer.start());
  const { page } = await openPage(`${server.url}/plain.html`);
  await until("the user is online", async () => (await describeUser(server, USER)).online);
  await page.close();
  await until("the user is offline", async () => !(await describeUser(server, USER)).online);
});
