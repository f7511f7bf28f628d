import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { UsercastError } from "@usercast/protocol";
import { rawPathOf } from "./http.ts";
import { type Logger, printable } from "./log.ts";
import { isBlindCrossSite, type Policy, type Refusal } from "./policy.ts";

/**
 * Holds every request and every upgrade of `server` against the policy, before anybody else sees it. One door for the
 * pages, the HTTP API and Socket.IO, because Engine.IO's own `allowRequest` looks at handshakes only: what a foreign page
 * posts into an open session would pass. Called last, when all other listeners are in place.
 */
export function guardDoor(server: Server, policy: Policy, log: Logger): void {
  const refusalOf = (request: IncomingMessage): Refusal | undefined =>
    policy.refuses(request.headers) ?? (isBlindCrossSite(rawPathOf(request), request.headers) ? "ORIGIN_NOT_ALLOWED" : undefined);

  const report = (request: IncomingMessage, refusal: Refusal): string => {
    const { host, origin } = request.headers;
    log.info({ code: refusal, host: host && printable(host), origin: origin && printable(origin) }, "refused");
    return JSON.stringify({ error: new UsercastError(refusal) });
  };

  intercept(server, "request", (request, response: ServerResponse) => {
    const refusal = refusalOf(request);
    if (refusal === undefined) return true;
    const body = report(request, refusal);
    response.writeHead(403, { "content-type": "application/json", "cache-control": "no-store", connection: "close" });
    response.end(body);
    return false;
  });

  intercept(server, "upgrade", (request, socket: Duplex) => {
    const refusal = refusalOf(request);
    if (refusal === undefined) return true;
    const body = report(request, refusal);
    // The client may be gone already; there is nothing to do about that.
    socket.on("error", () => {});
    socket.end(
      `HTTP/1.1 403 Forbidden\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
    );
    return false;
  });
}

/** Puts `passes` before the listeners an event has; where it says no, they are not called. */
function intercept<Reply>(
  server: Server,
  event: "request" | "upgrade",
  passes: (request: IncomingMessage, reply: Reply) => boolean,
): void {
  const listeners = server.listeners(event);
  server.removeAllListeners(event);
  server.on(event, (request: IncomingMessage, reply: Reply, ...rest: unknown[]) => {
    if (passes(request, reply)) for (const listener of listeners) listener.call(server, request, reply, ...rest);
  });
}
