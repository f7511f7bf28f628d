import type { IncomingMessage } from "node:http";
import { UsercastError } from "@usercast/protocol";

const JSON_TYPE = /^application\/json *(?:; *charset="?utf-8"? *)?$/i;
const utf8 = new TextDecoder("utf-8", { fatal: true });

/** How the text of a body becomes a value. */
export type ParseText = (text: string) => unknown;

/**
 * The JSON body of a request.
 * @throws UsercastError `UNSUPPORTED_MEDIA_TYPE`, `PAYLOAD_TOO_LARGE` or `MALFORMED_JSON`
 */
export async function readJson(request: IncomingMessage, maxBytes: number, parse: ParseText = JSON.parse): Promise<unknown> {
  const { "content-type": type = "", "content-encoding": encoding = "identity" } = request.headers;
  if (!JSON_TYPE.test(type)) throw new UsercastError("UNSUPPORTED_MEDIA_TYPE");
  if (encoding !== "identity") throw new UsercastError("UNSUPPORTED_MEDIA_TYPE", "The body must not be compressed.");
  const bytes = await readBytes(request, maxBytes);
  try {
    return parse(utf8.decode(bytes));
  } catch (error) {
    if (error instanceof UsercastError) throw error;
    // Neither the parser's sentence nor its excerpt of the body is for logs or callers.
    throw new UsercastError("MALFORMED_JSON");
  }
}

/**
 * Reads until the end or the limit. By events, because leaving an async iterator early destroys the connection, and the
 * caller would never see the answer.
 */
function readBytes(request: IncomingMessage, maxBytes: number): Promise<Buffer> {
  const tooLarge = (): UsercastError =>
    new UsercastError("PAYLOAD_TOO_LARGE", `The server reads at most ${maxBytes} bytes of a request.`);
  if (Number(request.headers["content-length"] ?? 0) > maxBytes) return Promise.reject(tooLarge());
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    const finish = (settle: () => void): void => {
      request.off("data", onData).off("end", onEnd).off("error", onBroken).off("close", onBroken).pause();
      settle();
    };
    const onData = (chunk: Buffer): void => {
      length += chunk.length;
      chunks.push(chunk);
      if (length > maxBytes) finish(() => reject(tooLarge()));
    };
    const onEnd = (): void => finish(() => resolve(Buffer.concat(chunks)));
    const onBroken = (): void => finish(() => reject(new UsercastError("INVALID_REQUEST", "The request broke off.")));
    request.on("data", onData).on("end", onEnd).on("error", onBroken).on("close", onBroken);
  });
}
