// Clients on bare TCP sockets that cost a few microseconds a message, so that the server is what is measured. They speak just enough of
// WebSocket and Socket.IO: as a plain Socket.IO client, as the SDK, as a client of a bare WebSocket server, or as one that never registers.
import { once } from "node:events";
import { connect } from "node:net";
import { clientFrame, FrameReader } from "./frames.js";
import { numberOf } from "./payload.js";

/** An SDK confirms at the latest at half of the server's window. */
const HALF_A_WINDOW = 128;
/** How long the SDK gathers confirmations. */
const ACK_INTERVAL_MS = 100;
/** How many connect at once, where nothing else is said. */
const AT_ONCE = 100;

const [ZERO, TWO, THREE, FOUR, BRACKET, U, M, E, S] = [..."0234[umes"].map((letter) => letter.charCodeAt(0));
const HTTP_END = "\r\n\r\n";
const OFFSET = '"offset":';
/** Where the name of an event of ours says which one: `42["usercast:` comes before. */
const OUR_NAME = '42["usercast:'.length;
const PONG = clientFrame("3");
/** All sockets are read into the same memory: what is read is looked at before anything else happens. */
const memory = Buffer.allocUnsafeSlow(256 * 1_024);

const kinds = {
  /** @type {(client: Client) => string} */
  plain: () => "40",
  bare: () => "40",
  recovering: ({ session }) => (session === undefined ? "40" : `40${JSON.stringify(session)}`),
  sdk: ({ user, device, position }) =>
    `40${JSON.stringify({ usercast: { v: 1, device: `d-${device}`, session: `${user}-${device}`, ...(position && { position }) } })}`,
};

/** One connection of one user. */
class Client {
  received = 0;
  /** Messages whose offset was not the one after that of the message before, or whose number was not higher. */
  outOfOrder = 0;
  /** The epoch of the mailbox, once an SDK connection was told it. */
  epoch;
  /** What Socket.IO's connection state recovery goes by: a name of the session, and the place of its first message. */
  session = {};
  #options;
  #socket;
  #reader = new FrameReader((bytes, from, to) => this.#text(bytes, from, to));
  #opened;
  #isOpen = false;
  #upgraded = false;
  /** Where the digits of an offset begin in every frame of this connection; its secret is always as long. */
  #offsetAt = 0;
  #offset = 0;
  #told = 0;
  #number = -1;
  #timer;

  /**
   * @param options `wire`: `plain`, `sdk`, `raw`, `bare` or `recovering`; `port`, `user`, `device`; `position`: where an SDK begins;
   * `session`: what a broken one, whose server is to recover it, was told; `confirms`: `false`
   * never does; `isOrdered`: numbers of messages must rise; `onMessage(bytes, end)`: is called for each message; `onAnswer(bytes, from)`: for each answer to what was asked
   */
  constructor(options) {
    this.#options = options;
  }

  get user() {
    return this.#options.user;
  }

  async open() {
    const { port } = this.#options;
    this.#socket = connect({
      port,
      host: "127.0.0.1",
      noDelay: true,
      onread: { buffer: memory, callback: (n, b) => this.#read(n, b) },
    });
    this.#socket.on("error", () => {});
    const path = this.#options.wire === "raw" ? "/" : "/socket.io/?EIO=4&transport=websocket";
    const head = ["Host: 127.0.0.1", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"];
    const key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
    this.#socket.write([`GET ${path} HTTP/1.1`, ...head, key, "", ""].join("\r\n"));
    await new Promise((resolve, reject) => {
      this.#opened = resolve;
      this.#socket.once("close", () => reject(new Error("The server ended the connection.")));
    });
    return this;
  }

  /** Sends text as one frame. */
  send(text) {
    this.#socket.write(clientFrame(text));
  }

  stall() {
    this.#socket.pause();
  }

  resume() {
    this.#socket.resume();
  }

  async close() {
    clearTimeout(this.#timer);
    // The server may have been first.
    if (this.#socket.destroyed) return;
    const closed = once(this.#socket, "close");
    this.#socket.destroy();
    await closed;
  }

  #read(length, buffer) {
    let from = 0;
    if (!this.#upgraded) {
      const end = buffer.latin1Slice(0, length).indexOf(HTTP_END);
      // The answer to the upgrade is short, and comes in one piece.
      if (end === -1 || buffer.latin1Slice(9, 12) !== "101") throw new Error("The server did not upgrade the connection.");
      this.#upgraded = true;
      from = end + HTTP_END.length;
      if (this.#options.wire === "raw") this.send(this.#options.user);
    }
    this.#reader.push(buffer.subarray(from, length));
    return true;
  }

  #text(bytes, from, to) {
    const first = bytes[from];
    if (this.#options.wire === "raw") {
      if (first === BRACKET) this.#message(bytes, to);
      else this.#open();
    } else if (first === FOUR) this.#packet(bytes, from, to);
    else if (first === TWO) this.#socket.write(PONG);
    else if (first === ZERO) this.send(kinds[this.#options.wire](this.#options));
  }

  #packet(bytes, from, to) {
    const type = bytes[from + 1];
    if (type === TWO) {
      if (bytes[from + 4] === M) this.#plain(bytes, from, to);
      else if (bytes[from + 4] === U) this.#ours(bytes, from, to);
    } else if (type === ZERO) {
      if (this.#options.wire === "recovering") this.session.pid = JSON.parse(bytes.latin1Slice(from + 2, to)).pid;
      if (this.#options.wire === "bare" || this.#options.session !== undefined) this.#open();
      else this.send(`420["register","${this.#options.user}"]`);
    } else if (type === THREE) {
      if (!this.#isOpen) this.#open();
      else this.#options.onAnswer?.(bytes, from, to);
    }
  }

  #plain(bytes, from, to) {
    if (this.#options.wire === "recovering") this.session.offset ??= /"([^"]+)"\]$/.exec(bytes.latin1Slice(from, to))?.[1];
    this.#message(bytes, to);
  }

  /** Messages and signals; what a connection is told at its start is not counted. */
  #ours(bytes, from, to) {
    const name = bytes[from + OUR_NAME];
    if (name === S) this.#message(bytes, to);
    else if (name === M && bytes[from + OUR_NAME + 1] === E) this.#durable(bytes, from, to);
    else this.epoch ??= /"epoch":"([^"]+)"/.exec(bytes.latin1Slice(from, to))?.[1];
  }

  #durable(bytes, from, to) {
    if (this.#offsetAt === 0) this.#offsetAt = bytes.latin1Slice(from, to).indexOf(OFFSET) + OFFSET.length;
    let offset = 0;
    for (let i = from + this.#offsetAt; ; i += 1) {
      const digit = bytes[i] - 48;
      if (digit < 0 || digit > 9) break;
      offset = offset * 10 + digit;
    }
    if (this.#offset !== 0 && offset !== this.#offset + 1) this.outOfOrder += 1;
    this.#offset = offset;
    this.#message(bytes, to);
    if (this.#options.confirms === false) return;
    if (offset - this.#told >= HALF_A_WINDOW) this.#confirm();
    else this.#timer ??= setTimeout(() => this.#confirm(), ACK_INTERVAL_MS);
  }

  #message(bytes, to) {
    this.received += 1;
    const { isOrdered, onMessage } = this.#options;
    if (isOrdered) {
      const number = numberOf(bytes, to - 1);
      if (number <= this.#number) this.outOfOrder += 1;
      this.#number = number;
    }
    onMessage?.(bytes, to - 1);
  }

  #confirm() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#told = this.#offset;
    this.send(`42["usercast:ack",${this.#offset}]`);
  }

  #open() {
    this.#isOpen = true;
    this.#opened();
  }
}

/** Opens many, some at a time. */
export async function openAll(options, atOnce = AT_ONCE) {
  const clients = [];
  for (let i = 0; i < options.length; i += atOnce) {
    const some = options.slice(i, i + atOnce).map((one) => new Client(one).open());
    clients.push(...(await Promise.all(some)));
  }
  return clients;
}
