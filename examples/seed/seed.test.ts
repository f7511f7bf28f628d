import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { io } from "socket.io-client";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";

let server: ChildProcess;
let url: string;

beforeAll(async () => {
  server = spawn(process.execPath, [fileURLToPath(new URL("server.js", import.meta.url))], {
    env: { ...process.env, NODE_ENV: "test", PORT: "0" },
    stdio: ["ignore", "pipe", "inherit"],
  });
  url = await new Promise((resolve, reject) => {
    let output = "";
    server.stdout?.on("data", (text) => {
      output += text;
      const [found] = /http:\S+(?=\n)/.exec(output) ?? [];
      if (found !== undefined) resolve(found);
    });
    server.once("exit", () => reject(new Error(`The server ended before it listened. ${output}`)));
  });
});

afterAll(async () => {
  if (server.exitCode !== null) return;
  server.kill();
  await once(server, "exit");
});

/** The habitual client: registers when it connects, and takes what comes. */
function client(userID: string): { readonly received: unknown[]; readonly connected: Promise<void> } {
  const socket = io(url, { forceNew: true });
  onTestFinished(() => void socket.disconnect());
  const received: unknown[] = [];
  socket.on("message", (message) => received.push(message));
  const connected = new Promise<void>((resolve) => {
    socket.on("connect", () => socket.emit("register", userID, () => resolve()));
  });
  return { received, connected };
}

const send = async (userID: string, message: unknown) => {
  const response = await fetch(`${url}/users/${userID}/messages`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ message }),
  });
  return { status: response.status, answer: response.ok ? await response.json() : undefined };
};

test("a message reaches every socket of its user, and nobody else", async () => {
  const [first, second, other] = [client("user123"), client("user123"), client("user456")];
  await Promise.all([first.connected, second.connected, other.connected]);
  expect(await send("user123", "hi")).toMatchObject({ status: 200, answer: { userId: "user123", state: "pushed" } });
  await expect.poll(() => [first.received, second.received]).toEqual([["hi"], ["hi"]]);
  expect(other.received).toEqual([]);
});

test("a message to a user who is away comes when the user does", async () => {
  expect(await send("ana", "before")).toMatchObject({ status: 200, answer: { state: "queued" } });
  const ana = client("ana");
  await expect.poll(() => ana.received).toEqual(["before"]);
});

test("what cannot be sent is answered with its status", async () => {
  expect(await send("x".repeat(513), "hi")).toMatchObject({ status: 400 });
  expect(await send("ana", "x".repeat(70_000))).toMatchObject({ status: 413 });
});
