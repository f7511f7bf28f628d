import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { jwtVerify } from "jose";
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { API_KEY, call, SECRET, startDevelopment, temporaryFolder } from "./harness.ts";

const EXECUTABLE = fileURLToPath(new URL("../bin/usercast.js", import.meta.url));

beforeAll(() => {
  const isBuilt = existsSync(new URL("../dist/cli.js", import.meta.url)) && existsSync(new URL("../dist/pages", import.meta.url));
  if (!isBuilt) throw new Error('These tests start the built executable: run "npm run build" first.');
});

interface Run {
  readonly child: ChildProcess;
  /** Everything written so far. */
  out(): string;
  err(): string;
  /** The exit code; a signal's name where one ended it. */
  readonly exit: Promise<number | string>;
}

function run(args: readonly string[], env: Record<string, string> = {}): Run {
  const { PATH = "" } = process.env;
  const child = spawn(process.execPath, [EXECUTABLE, ...args], { env: { PATH, ...env }, cwd: temporaryFolder() });
  onTestFinished(() => void child.kill("SIGKILL"));
  const text = { out: "", err: "" };
  child.stdout.on("data", (chunk) => {
    text.out += String(chunk);
  });
  child.stderr.on("data", (chunk) => {
    text.err += String(chunk);
  });
  const exit = new Promise<number | string>((resolve) => {
    child.once("close", (code, signal) => resolve(code ?? signal ?? ""));
  });
  return { child, out: () => text.out, err: () => text.err, exit };
}

/** The port of a server, once it says where it listens. */
async function portOf({ out, err }: Run): Promise<number> {
  await expect.poll(out, { timeout: 10_000, message: err() }).toMatch(/listens on http:\/\/[^ ]+:\d+ /);
  return Number(/listens on http:\/\/[^ ]+:(\d+) /.exec(out())?.[1]);
}

const production = { USERCAST_JWT_SECRET: SECRET, USERCAST_API_KEYS: API_KEY, USERCAST_HOST: "127.0.0.1" };

describe("usercast", () => {
  test("starts without any setting but a free port, says what it is, and keeps its data where it was told", async () => {
    const server = run(["--port", "0", "--data", "./box"]);
    const port = await portOf(server);
    expect(server.out()).toContain("(development)");
    expect(server.out()).toContain("/box");
    expect((await call(port, "/v1/users/ana/messages", { body: { data: "hi" } })).status).toBe(201);
    expect((await call(port, "/plain.html")).status).toBe(200);
  });

  test.each(["SIGTERM", "SIGINT"] as const)("%s ends it in order, however often npm repeats it", async (signal) => {
    const server = run(["--port", "0"]);
    await portOf(server);
    server.child.kill(signal);
    server.child.kill(signal);
    expect(await server.exit).toBe(0);
  });

  test("what it cannot do is one line and exit code 1", async () => {
    const { port } = await startDevelopment();
    const file = join(temporaryFolder(), "file");
    writeFileSync(file, "");
    const cases: [string[], Record<string, string>, RegExp][] = [
      [["--port", String(port)], {}, /^usercast: port \d+ is already in use; choose another with --port\n$/],
      [["--port", "0", "--data", file], {}, /^usercast: .*\n$/],
      [["--port", "http"], {}, /^usercast: --port: .*\n$/],
      [[], { USERCAST_PROT: "1" }, /^usercast: USERCAST_PROT: there is no such setting\n$/],
      [[], { NODE_ENV: "production" }, /^usercast: .*usercast serve.*\n$/],
      [["token", "--user", "ana"], {}, /^usercast: .*USERCAST_JWT_SECRET.*\n$/],
    ];
    for (const [args, env, message] of cases) {
      const failed = run(args, env);
      expect(await failed.exit).toBe(1);
      expect(failed.err()).toMatch(message);
    }
  });

  test("two servers do not share a data folder", async () => {
    const data = join(temporaryFolder(), "data");
    mkdirSync(data);
    await portOf(run(["--port", "0", "--data", data]));
    const second = run(["--port", "0", "--data", data]);
    expect(await second.exit).toBe(1);
    expect(second.err()).toMatch(/^usercast: [^\n]+\n$/);
  });

  test("flags and commands that do not exist are refused", async () => {
    for (const args of [["--prot", "1"], ["server"], ["--host", "0.0.0.0"], ["serve", "--jwt-secret", SECRET]]) {
      const failed = run(args, production);
      expect(await failed.exit).toBe(1);
      expect(failed.err()).toMatch(/^error: /);
    }
  });

  test("the help tells of every command", async () => {
    const help = run(["--help"]);
    expect(await help.exit).toBe(0);
    for (const word of ["serve", "token", "--data", "USERCAST_JWT_SECRET"]) expect(help.out()).toContain(word);
  });
});

describe("usercast serve", () => {
  test("refuses to start without a way to verify anybody, and says what to set", async () => {
    const refused = run(["serve"]);
    expect(await refused.exit).toBe(1);
    expect(refused.err()).toContain("USERCAST_JWT_SECRET");
    expect(refused.err()).toContain("USERCAST_API_KEYS");
    expect(refused.out()).toBe("");
  });

  test("starts with what is needed, and ends in order", async () => {
    const server = run(["serve", "--port", "0"], { ...production, NODE_ENV: "production" });
    const port = await portOf(server);
    expect(server.out()).toContain("(production)");
    expect((await call(port, "/v1/users/ana")).status).toBe(401);
    expect((await call(port, "/v1/users/ana", { headers: { authorization: `Bearer ${API_KEY}` } })).status).toBe(200);
    server.child.kill("SIGTERM");
    expect(await server.exit).toBe(0);
    for (const line of server.err().trim().split("\n")) expect(() => JSON.parse(line)).not.toThrow();
  });
});

describe("usercast token", () => {
  test("prints a token that the configuration's secret verifies", async () => {
    const command = run(["token", "--user", "ana", "--ttl", "5m", "--jwt-issuer", "me"], production);
    expect(await command.exit).toBe(0);
    const { payload } = await jwtVerify(command.out().trim(), new TextEncoder().encode(SECRET), { issuer: "me" });
    expect(payload.sub).toBe("ana");
    expect((payload.exp ?? 0) - (payload.iat ?? 0)).toBe(300);
  });

  test("takes the secret from a file", async () => {
    const config = join(temporaryFolder(), "usercast.yaml");
    writeFileSync(config, `jwtSecret: ${SECRET}\n`);
    const command = run(["token", "--user", "ana", "--config", config]);
    expect(await command.exit).toBe(0);
    await jwtVerify(command.out().trim(), new TextEncoder().encode(SECRET));
  });
});
