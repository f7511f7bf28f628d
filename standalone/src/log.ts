import { destination, type Logger, pino } from "pino";

export type { Logger } from "pino";

/** Log text that waits for a slow reader, at most; what comes on top is dropped, so that a stuck pipe never stops the server. */
const MAX_WAITING_BYTES = 1_048_576;

/**
 * The server's log: JSON lines on standard error, so that standard output keeps what a person or a script asked for.
 * Messages' data and tokens are never logged; text from outside only inside JSON strings, printable.
 */
export function createLog(level: string): Logger {
  const stream = destination({ dest: 2, sync: false, maxLength: MAX_WAITING_BYTES });
  // What was logged last, such as the reason of an exit, is worth a blocking write.
  process.once("exit", () => {
    try {
      stream.flushSync();
    } catch {
      // The reader of the log is gone, or the stream never opened: there is nobody left to tell.
    }
  });
  return pino({ level, base: null, timestamp: () => `,"time":"${new Date().toISOString()}"` }, stream);
}

/** `text` in printable ASCII: what a terminal would obey comes out as `\u…`. */
export const printable = (text: string): string =>
  text.replace(/[^\x20-\x7e]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`);
