// Clients on bare WebSockets, so that they cost little: as plain Socket.IO ones, or as the SDK speaks.
import { WebSocket } from "ws";

/** What an SDK confirms at the latest: half of the server's window. */
const HALF_A_WINDOW = 128;
/** How long the SDK gathers confirmations. */
const ACK_INTERVAL_MS = 100;

/** A connection of one user, registered. */
export class Client {
  received = 0;
  /** Whether messages came in order, each once. */
  inOrder = true;
  #socket;
  #sdk;
  #confirms;
  #onMessage;
  #offset = 0;
  #confirmed = 0;
  #timer;

  /**
   * @param options `sdk`: speaks as the SDK; `confirms`: `false` never does; `onMessage`: is given each frame;
   * `from`: a position to begin at
   */
  static connect(port, user, options = {}) {
    const client = new Client();
    return new Promise((resolve, reject) => client.#connect(port, user, options, { resolve: () => resolve(client), reject }));
  }

  /** Reads nothing any more. */
  stall() {
    this.#socket.pause();
  }

  resume() {
    this.#socket.resume();
  }

  close() {
    clearTimeout(this.#timer);
    this.#socket.terminate();
  }

  #connect(port, user, { sdk = false, confirms = true, onMessage }, { resolve, reject }) {
    this.#sdk = sdk;
    this.#confirms = confirms;
    this.#onMessage = onMessage;
    this.#socket = new WebSocket(`ws://127.0.0.1:${port}/socket.io/?EIO=4&transport=websocket`, { perMessageDeflate: false });
    this.#socket.on("error", reject);
    this.#socket.on("close", () => reject(new Error("The server ended the connection.")));
    this.#socket.on("message", (data) => {
      const text = data.toString();
      if (text.startsWith('42["usercast:message"') || text.startsWith('42["message"')) this.#message(text);
      else if (text === "2") this.#socket.send("3");
      else if (text.startsWith("0")) {
        const hello = { usercast: { v: 1, device: `d-${user}`, session: "s" } };
        this.#socket.send(sdk ? `40${JSON.stringify(hello)}` : "40");
      } else if (text.startsWith("40")) this.#socket.send(`420["register","${user}"]`);
      else if (text.startsWith("430")) resolve();
    });
  }

  #message(text) {
    this.received += 1;
    // Messages carry their number, counted from 1 for each user.
    const number = Number(/"n":(\d+)/.exec(text)?.[1]);
    if (number !== this.received) this.inOrder = false;
    this.#onMessage?.(text);
    if (!this.#sdk || !this.#confirms) return;
    this.#offset = Number(/"offset":(\d+)/.exec(text)?.[1]);
    if (this.#offset - this.#confirmed >= HALF_A_WINDOW) this.#confirm();
    else this.#timer ??= setTimeout(() => this.#confirm(), ACK_INTERVAL_MS);
  }

  #confirm() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#confirmed = this.#offset;
    this.#socket.send(`42["usercast:ack",${this.#offset}]`);
  }
}

/** Connects many, some at a time. */
export async function connectAll(port, users, optionsOf) {
  const clients = [];
  for (let i = 0; i < users.length; i += 50) {
    const some = users.slice(i, i + 50).map((user, j) => Client.connect(port, user, optionsOf(i + j)));
    clients.push(...(await Promise.all(some)));
  }
  return clients;
}
