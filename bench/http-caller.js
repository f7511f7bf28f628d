// A caller of an HTTP server over one connection that stays open, on a bare TCP socket, so that it costs little: one call after the other.
import { connect } from "node:net";

const HEAD_END = "\r\n\r\n";
const LAST_CHUNK = "0\r\n\r\n";

/**
 * The status of an answer, once all of it is there.
 * @param {string} text what has come so far
 * @returns {number | undefined}
 */
export function statusOf(text) {
  const headEnd = text.indexOf(HEAD_END);
  if (headEnd === -1) return undefined;
  const length = /content-length: (\d+)/i.exec(text.slice(0, headEnd))?.[1];
  const isWhole = length === undefined ? text.endsWith(LAST_CHUNK) : text.length === headEnd + HEAD_END.length + Number(length);
  return isWhole ? Number(text.slice(9, 12)) : undefined;
}

/** One connection. */
export class HttpCaller {
  #socket;
  #port;
  #text = "";
  /** @type {(status: number) => void} */
  #answered = () => {};

  /** @param {number} port */
  constructor(port) {
    this.#port = port;
    this.#socket = connect({ port, host: "127.0.0.1", noDelay: true });
    this.#socket.setEncoding("latin1");
    this.#socket.on("data", (/** @type {string} */ text) => this.#read(text));
    this.#socket.on("error", () => {});
  }

  /**
   * Posts JSON of Latin letters, and answers the status. One call at a time.
   * @param {string} path
   * @param {string} json
   * @returns {Promise<number>}
   */
  post(path, json) {
    const head = [`POST ${path} HTTP/1.1`, `Host: 127.0.0.1:${this.#port}`, "Content-Type: application/json"];
    this.#socket.write([...head, `Content-Length: ${json.length}`, "", json].join("\r\n"), "latin1");
    return new Promise((resolve) => {
      this.#answered = resolve;
    });
  }

  close() {
    this.#socket.destroy();
  }

  /** @param {string} text */
  #read(text) {
    this.#text += text;
    const status = statusOf(this.#text);
    if (status === undefined) return;
    this.#text = "";
    this.#answered(status);
  }
}
