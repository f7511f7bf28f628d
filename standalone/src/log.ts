import { destination, type Logger, pino } from "pino";

export type { Logger } from "pino";

/** Log text that waits for a slow reader, at most; what comes on top is dropped, so that a stuck pipe never stops the server. */
const MAX_WAITING_BYTES = 1_048_576;

/** What a pipe takes as one piece: of several processes that write to one pipe, none breaks into a line of another's. */
const PIPE_BUFFER_BYTES = 4_096;

/**
 * The server's log: JSON lines on standard error, so that standard output keeps what a person or a script asked for.
 * Messages' data and tokens are never logged; text from outside only inside JSON strings, printable.
 * Lines of a worker bear its number.
 */
export function createLog(level: string, worker?: number): Logger {
  const stream = destination({
    dest: 2,
    sync: false,
    maxLength: MAX_WAITING_BYTES,
    ...(worker !== undefined && { maxWrite: PIPE_BUFFER_BYTES }),
  });
  // What was logged last, such as the reason of an exit, is worth a blocking write.
  process.once("exit", () => {
    try {
      stream.flushSync();
    } catch {
      // The reader of the log is gone, or the stream never opened: there is nobody left to tell.
    }
  });
  return pino(
    { level, base: worker === undefined ? null : { worker }, timestamp: () => `,"time":"${new Date().toISOString()}"` },
    stream,
  );
}

/** `text` in printable ASCII: what a terminal would obey comes out as `\u…`. */
export const printable = (text: string): string =>
  text.replace(/[^\x20-\x7e]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`);
