import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { type Client, connect, type KeyValueStorage } from "@usercast/client";
import { Games, type Turn } from "./games.js";

/** The example's server in a process of its own. */
export class GameServer {
  readonly #child: ChildProcess;
  readonly url: string;

  private constructor(child: ChildProcess, url: string) {
    this.#child = child;
    this.url = url;
  }

  static async start(): Promise<GameServer> {
    const child = spawn(process.execPath, [fileURLToPath(new URL("server.js", import.meta.url))], {
      env: { ...process.env, NODE_ENV: "test", PORT: "0" },
      stdio: ["ignore", "pipe", "inherit"],
    });
    return new Promise((resolve, reject) => {
      let output = "";
      child.stdout.on("data", (text) => {
        output += text;
        const [url] = /http:\/\/localhost:\d+(?=\/)/.exec(output) ?? [];
        if (url !== undefined) resolve(new GameServer(child, url));
      });
      child.once("exit", () => reject(new Error(`The server ended before it listened. ${output}`)));
    });
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null) return;
    this.#child.kill();
    await once(this.#child, "exit");
  }
}

const emptyStorage = (): KeyValueStorage => {
  const values = new Map<string, string>();
  return {
    getItem: (key) => values.get(key) ?? null,
    setItem: (key, value) => void values.set(key, value),
    removeItem: (key) => void values.delete(key),
  };
};
const newBrowser = () => ({ local: emptyStorage(), session: emptyStorage() });

/** A window without a screen: what its browser keeps is there for the next one. */
export class PlayerWindow {
  /** The turns that came, by their numbers. */
  readonly turns: number[] = [];
  readonly pointers: unknown[] = [];
  readonly client: Client;
  readonly #games: Games;
  readonly #friend: string;
  /** Opens the next window of the same browser. */
  readonly reopen: () => PlayerWindow;

  constructor(url: string, name: string, friend: string, storage = newBrowser()) {
    this.client = connect(url, { userId: name, storage });
    this.client.on("turn", (turn) => this.turns.push((turn as Turn).turn));
    this.client.on("pointer", (place, { volatile }) => volatile && this.pointers.push(place));
    // What a window had still to tell when it was closed.
    this.client.lifecycle.on("error", (error) => error.code === "CLIENT_CLOSED" || console.error(error));
    this.#games = new Games(name, this.client, storage.local, () => {});
    this.#games.tell(friend);
    this.#friend = friend;
    this.reopen = () => new PlayerWindow(url, name, friend, storage);
  }

  /** The columns of the turns that this window shows. */
  get columns(): readonly number[] {
    return this.#games.with(this.#friend).columns;
  }

  async play(column: number): Promise<void> {
    await this.#games.play(this.#friend, column);
  }

  point(place: unknown): void {
    this.client.to(this.#friend).volatile.emit("pointer", place);
  }

  close(): void {
    this.client.close();
  }
}
