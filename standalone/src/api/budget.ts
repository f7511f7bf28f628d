import type { IncomingMessage } from "node:http";
import { UsercastError } from "@usercast/protocol";

/** Bytes of request bodies that may be in memory at once. */
export class Budget {
  #free: number;

  constructor(bytes: number) {
    this.#free = bytes;
  }

  /**
   * Takes what the body of `request` may need, before any of it is read; the returned function gives it back.
   * @throws UsercastError `OVERLOADED` where too much is taken already
   */
  take(request: IncomingMessage, maxBytes: number): () => void {
    // Without a length, which is how chunks come, it may become as long as a body can.
    const bytes = Math.min(Number(request.headers["content-length"] ?? maxBytes), maxBytes);
    if (bytes > this.#free) throw new UsercastError("OVERLOADED", "Too many large requests are being worked on.");
    this.#free -= bytes;
    return () => {
      this.#free += bytes;
    };
  }
}
