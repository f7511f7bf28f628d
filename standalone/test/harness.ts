import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { type IncomingHttpHeaders, request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { EVENTS, PROTOCOL_VERSION, type QuestionAnswer, type Ready } from "@usercast/protocol";
import { pino } from "pino";
import { io as connect, type ManagerOptions, type Socket, type SocketOptions } from "socket.io-client";
import { onTestFinished } from "vitest";
import { developmentConfig, productionConfig, type ServerConfig } from "../src/config.ts";
import { type RunningServer, startServer } from "../src/server.ts";

export const SECRET = "0123456789abcdef0123456789abcdef";
export const API_KEY = "shop:0123456789abcdef";

/** What ends when the test ends, the newest first. */
const atEnd = (task: () => unknown): void => onTestFinished(async () => void (await task()));

export function temporaryFolder(): string {
  const path = mkdtempSync(join(tmpdir(), "usercast-test-"));
  atEnd(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** The real plain page beside a stand-in for the bundle, which another package builds. */
export function pagesFolder(): string {
  const path = temporaryFolder();
  copyFileSync(fileURLToPath(new URL("../pages/plain.html", import.meta.url)), join(path, "plain.html"));
  writeFileSync(join(path, "index.html"), "<!doctype html><script>start();</script><p>http://localhost:3000</p>");
  writeFileSync(join(path, "usercast.js"), "globalThis.usercast = {};\n");
  writeFileSync(join(path, "notes.txt"), "not a page");
  return path;
}

export interface TestServer extends RunningServer {
  /** What was logged, line by line. */
  readonly logged: readonly string[];
}

async function start(config: ServerConfig): Promise<TestServer> {
  const logged: string[] = [];
  const log = pino({ level: "debug" }, { write: (line: string) => void logged.push(line) });
  const server = await startServer(config, log, pagesFolder());
  atEnd(() => server.stop());
  return { ...server, logged };
}

export function startDevelopment(flags: Record<string, unknown> = {}): Promise<TestServer> {
  return start(developmentConfig({ flags: { port: "0", data: join(temporaryFolder(), "data"), ...flags }, env: {} }));
}

export function startProduction(flags: Record<string, unknown> = {}): Promise<TestServer> {
  const env = { USERCAST_JWT_SECRET: SECRET, USERCAST_API_KEYS: API_KEY };
  const given = { port: "0", host: "127.0.0.1", data: join(temporaryFolder(), "data"), ...flags };
  return start(productionConfig({ flags: given, env }));
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: a test looks into answers field by field.
  readonly json: any;
}

export interface Call {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string | readonly string[] | undefined>>;
  /** Text and bytes go as they are; anything else as JSON, with its content type. */
  readonly body?: unknown;
  readonly address?: string;
}

/** A request with the path exactly as given: `fetch` would tidy it up. */
export function call(
  port: number,
  path: string,
  { method, headers = {}, body, address = "127.0.0.1" }: Call = {},
): Promise<Answer> {
  const isRaw = body === undefined || typeof body === "string" || Buffer.isBuffer(body);
  const content = isRaw ? body : JSON.stringify(body);
  return new Promise((resolve, reject) => {
    const outgoing = request(
      {
        host: address,
        port,
        path,
        agent: false,
        method: method ?? (body === undefined ? "GET" : "POST"),
        headers: {
          ...(!isRaw && { "content-type": "application/json" }),
          ...(content !== undefined && { "content-length": String(Buffer.byteLength(content)) }),
          ...(Object.fromEntries(Object.entries(headers).filter(([, value]) => value !== undefined)) as Record<string, string>),
        },
      },
      (incoming) => {
        const chunks: Buffer[] = [];
        incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
        incoming.on("error", reject);
        incoming.on("end", () => {
          const received = Buffer.concat(chunks).toString();
          const isJson = incoming.headers["content-type"]?.startsWith("application/json") && received !== "";
          resolve({
            status: incoming.statusCode ?? 0,
            headers: incoming.headers,
            text: received,
            json: isJson ? JSON.parse(received) : undefined,
          });
        });
      },
    );
    outgoing.on("error", reject);
    outgoing.end(content);
  });
}

/** A Socket.IO client of its own connection, closed when the test ends. */
export function client(port: number, options: Partial<ManagerOptions & SocketOptions> = {}, host = "127.0.0.1"): Socket {
  const socket = connect(`http://${host}:${port}`, { forceNew: true, transports: ["websocket"], ...options });
  atEnd(() => socket.disconnect());
  return socket;
}

/** The next occurrence of an event. */
export const next = <T = unknown>(socket: Socket, event: string): Promise<T> =>
  new Promise((resolve) => socket.once(event, (value: T) => resolve(value)));

/** A client that has registered. */
export async function registered(
  port: number,
  credential: string,
  options: Partial<ManagerOptions & SocketOptions> = {},
): Promise<Socket> {
  const socket = client(port, options);
  await next(socket, "connect");
  const answer = await socket.timeout(5_000).emitWithAck("register", credential);
  if (answer.ok !== true) throw new Error(`not registered: ${JSON.stringify(answer)}`);
  return socket;
}

/** A client that speaks the wire of the SDK, as far as a test needs it. */
export interface Device {
  readonly socket: Socket;
  readonly secret: string;
  /** The data of every message that came. */
  readonly received: readonly unknown[];
  /** Confirms everything up to an offset. */
  confirm(offset: number): void;
  /** Says that everything up to an offset was read. */
  read(offset: number): void;
  /** Answers every question as `answer` says. */
  answers(answer: (event: string, data: unknown) => QuestionAnswer): void;
}

/** A device of a user's, once it may receive. */
export async function device(port: number, userId: string, name: string, session = "s1"): Promise<Device> {
  const socket = client(port, { auth: { usercast: { v: PROTOCOL_VERSION, device: name, session } } });
  const received: unknown[] = [];
  socket.on(EVENTS.message, (_secret: string, _meta: unknown, _event: string, data: unknown) => received.push(data));
  const ready = next<Ready>(socket, EVENTS.ready);
  socket.on("connect", () => socket.emit("register", userId));
  const { secret } = await ready;
  return {
    socket,
    secret,
    received,
    confirm: (offset) => void socket.emit(EVENTS.ack, offset),
    read: (offset) => void socket.emit(EVENTS.read, offset),
    answers: (answer) =>
      void socket.on(
        EVENTS.question,
        (_secret: string, _question: unknown, event: string, data: unknown, reply: (answer: QuestionAnswer) => void) =>
          reply(answer(event, data)),
      ),
  };
}
