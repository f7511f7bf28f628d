import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { until, within } from "./wait.ts";

/** Opcodes of RFC 6455. */
const TEXT = 1;
const BINARY = 2;
const CLOSE = 8;
const PING = 9;
const PONG = 10;

/** Received texts that are kept, at most. */
const MAX_RECEIVED = 100_000;

/**
 * A WebSocket client by hand, because no library would say what the tests have to say: frames with any content, bytes that
 * are no frame, and silence.
 */
export class RawWebSocket {
  /** Text that came and that `next` has not taken yet, oldest first. */
  readonly received: string[] = [];
  readonly #socket: Socket;
  #bytes: Buffer = Buffer.alloc(0);
  #closed = false;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("error", () => {});
    socket.on("close", () => {
      this.#closed = true;
    });
  }

  /** Connects to a port of this machine and completes the handshake. */
  static async connect(port: number, path: string): Promise<RawWebSocket> {
    const socket = connect({ port, host: "127.0.0.1", noDelay: true });
    const raw = new RawWebSocket(socket);
    await within("the connection opens", once(socket, "connect"));
    socket.write(
      `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
        `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${randomBytes(16).toString("base64")}\r\n\r\n`,
    );
    await within("the handshake is answered", raw.#handshake());
    return raw;
  }

  /** Whether the server has ended the connection. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Sends a frame of text. */
  send(text: string): void {
    this.#frame(TEXT, Buffer.from(text));
  }

  /** Sends a frame of bytes. */
  sendBinary(bytes: Uint8Array): void {
    this.#frame(BINARY, Buffer.from(bytes));
  }

  /** Sends bytes as they are, frame or not. */
  sendBytes(bytes: Uint8Array | string): void {
    this.#socket.write(bytes);
  }

  /** Waits for a text, and takes it and everything before it. */
  async next(wanted: (text: string) => boolean): Promise<string> {
    const index = await until("a frame comes", () => {
      const found = this.received.findIndex(wanted);
      if (found === -1 && this.#closed) throw new Error("The connection has ended before.");
      return found === -1 ? undefined : found;
    });
    return this.received.splice(0, index + 1).at(-1) ?? "";
  }

  /** Reads nothing any more: what the server writes fills the buffers of the machine, and then the server's. */
  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  close(): void {
    this.#socket.destroy();
  }

  #handshake(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#socket.once("close", () => reject(new Error("The server ended the connection during the handshake.")));
      let open = false;
      this.#socket.on("data", (chunk) => {
        this.#bytes = Buffer.concat([this.#bytes, chunk]);
        if (!open) {
          const end = this.#bytes.indexOf("\r\n\r\n");
          if (end === -1) return;
          const head = this.#bytes.subarray(0, end).toString("latin1");
          this.#bytes = this.#bytes.subarray(end + 4);
          if (!head.startsWith("HTTP/1.1 101")) {
            reject(new Error(head));
            this.#socket.destroy();
            return;
          }
          open = true;
          resolve();
        }
        this.#read();
      });
    });
  }

  #read(): void {
    for (;;) {
      const [first, second] = this.#bytes;
      if (first === undefined || second === undefined) return;
      let length = second & 0x7f;
      let start = 2;
      if (length === 126) {
        if (this.#bytes.length < 4) return;
        length = this.#bytes.readUInt16BE(2);
        start = 4;
      } else if (length === 127) {
        if (this.#bytes.length < 10) return;
        length = Number(this.#bytes.readBigUInt64BE(2));
        start = 10;
      }
      if (this.#bytes.length < start + length) return;
      const payload = this.#bytes.subarray(start, start + length);
      this.#bytes = this.#bytes.subarray(start + length);
      const opcode = first & 0x0f;
      if (opcode === TEXT && this.received.length < MAX_RECEIVED) this.received.push(payload.toString("utf8"));
      else if (opcode === PING) this.#frame(PONG, payload);
      else if (opcode === CLOSE) this.#socket.end();
    }
  }

  #frame(opcode: number, payload: Buffer): void {
    const mask = randomBytes(4);
    const head = Buffer.alloc(payload.length < 126 ? 2 : payload.length < 65_536 ? 4 : 10);
    head[0] = 0x80 | opcode;
    if (head.length === 2) head[1] = 0x80 | payload.length;
    else if (head.length === 4) {
      head[1] = 0x80 | 126;
      head.writeUInt16BE(payload.length, 2);
    } else {
      head[1] = 0x80 | 127;
      head.writeBigUInt64BE(BigInt(payload.length), 2);
    }
    const masked = payload.map((byte, i) => byte ^ (mask[i % 4] ?? 0));
    this.#socket.write(Buffer.concat([head, mask, masked]));
  }
}
