import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { io } from "socket.io-client";
import { afterAll, afterEach, beforeAll, expect, onTestFinished, test } from "vitest";

/** A program of this example with what it has printed so far. */
class Program {
  readonly #child: ChildProcess;
  #output = "";

  constructor(file: string, ...args: readonly string[]) {
    this.#child = spawn(process.execPath, [fileURLToPath(new URL(file, import.meta.url)), ...args], {
      env: { ...process.env, PORT: "0" },
      stdio: ["pipe", "pipe", "inherit"],
    });
    this.#child.stdout?.on("data", (text) => {
      this.#output += text;
    });
  }

  get lines(): readonly string[] {
    return this.#output.split("\n").slice(0, -1);
  }

  /** What it prints first that fits. */
  prints(pattern: RegExp): Promise<string> {
    return new Promise((resolve, reject) => {
      this.#child.stdout?.on("data", () => {
        const [found] = pattern.exec(this.#output) ?? [];
        if (found !== undefined) resolve(found);
      });
      this.#child.once("exit", () => reject(new Error(`It ended without having printed ${pattern}. ${this.#output}`)));
    });
  }

  type(line: string): void {
    this.#child.stdin?.write(`${line}\n`);
  }

  async end(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#child.kill();
    await once(this.#child, "exit");
  }
}

const clients: Program[] = [];
let server: Program;
let url: string;

const signIn = (session: string, friend: string): Program => {
  const client = new Program("client.js", url, session, friend);
  clients.push(client);
  return client;
};

beforeAll(async () => {
  server = new Program("server.js");
  url = await server.prints(/http:\S+(?=\n)/);
});
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.end()));
});
afterAll(() => server.end());

const patience = { timeout: 15_000 };

test("two friends chat, and see what became of their messages", async () => {
  const ana = signIn("session-1", "bo");
  const bo = signIn("session-2", "ana");
  await expect.poll(() => [ana.lines, bo.lines], patience).toEqual([["(you are ana)"], ["(you are bo)"]]);
  ana.type("hi bo");
  await expect.poll(() => bo.lines, patience).toContain("ana: hi bo");
  // It may be delivered before the answer to its sending is read.
  await expect.poll(() => ana.lines, patience).toContain("(read: hi bo)");
  expect(ana.lines.slice(1).join()).toMatch(/^(\(accepted\),)?\(delivered(: hi bo)?\),\(read: hi bo\)$/);
  bo.type("hi ana");
  await expect.poll(() => ana.lines, patience).toContain("bo: hi ana");
});

test("a message to a friend who is away is delivered when the friend comes, also to a client without the SDK", async () => {
  const ana = signIn("session-1", "bo");
  ana.type("are you there?");
  await expect.poll(() => ana.lines, patience).toContain("(accepted)");
  const received: unknown[] = [];
  const plain = io(url, { auth: { token: "session-2" } });
  onTestFinished(() => void plain.disconnect());
  plain.on("message", (text) => received.push(text));
  await expect.poll(() => received, patience).toContain("are you there?");
  await expect.poll(() => ana.lines, patience).toContain("(delivered: are you there?)");
});

test("who is no friend may not write, and who has no session is refused", async () => {
  const mallory = signIn("session-3", "bo");
  mallory.type("hello?");
  await expect.poll(() => mallory.lines.join(), patience).toContain("(FORBIDDEN: ");
  const nobody = signIn("session-4", "bo");
  await expect.poll(() => nobody.lines, patience).toEqual([expect.stringContaining("could not establish who")]);
});
