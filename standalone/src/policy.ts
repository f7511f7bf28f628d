import type { IncomingHttpHeaders } from "node:http";

/** Why a request is not let in. */
export type Refusal = "HOST_NOT_ALLOWED" | "ORIGIN_NOT_ALLOWED";

/** Which hosts a server answers to, and which pages may use it. */
export interface Policy {
  /** Whether a page of this origin may use the server, whatever host it asks for. */
  allowsOrigin(origin: string): boolean;
  /** Why a request with these headers is not let in; nothing where it is. */
  refuses(headers: IncomingHttpHeaders): Refusal | undefined;
}

// Without its brackets, as the polling of Socket.IO's own client for Node writes it, ::1 is still no name a page could have.
const LOOPBACK_HOST = /^(?:localhost|127\.0\.0\.1|\[::1\]|::1)(?::\d{1,5})?$/i;
const LOOPBACK_ORIGIN = /^https?:\/\/(?:localhost|127\.0\.0\.1|\[::1\])(?::\d{1,5})?$/i;

/**
 * The policy of development, where anybody who can speak to the server is believed: only names of this machine, on any
 * port. A foreign page that resolves its own name to 127.0.0.1 fails by its `Host`, any other by its `Origin`.
 */
export const loopbackPolicy: Policy = {
  allowsOrigin: (origin) => LOOPBACK_ORIGIN.test(origin),
  refuses({ host, origin }) {
    if (host === undefined || !LOOPBACK_HOST.test(host)) return "HOST_NOT_ALLOWED";
    return origin === undefined || LOOPBACK_ORIGIN.test(origin) ? undefined : "ORIGIN_NOT_ALLOWED";
  },
};

/**
 * The policy of production: pages of the same origin and of those listed; `"*"` lists every origin but `null`.
 * Behind a proxy the scheme is not known, so the same origin is the same host and port.
 */
export function originsPolicy(origins: readonly string[]): Policy {
  const listed = new Set(origins.map((origin) => origin.toLowerCase()));
  const allowsOrigin = (origin: string): boolean => origin !== "null" && (listed.has("*") || listed.has(origin.toLowerCase()));
  return {
    allowsOrigin,
    refuses: ({ host, origin }) =>
      origin === undefined || allowsOrigin(origin) || isSameOrigin(origin, host) ? undefined : "ORIGIN_NOT_ALLOWED",
  };
}

function isSameOrigin(origin: string, host: string | undefined): boolean {
  if (host === undefined || !/^https?:\/\//i.test(origin) || !URL.canParse(origin)) return false;
  const page = new URL(origin);
  // Parsed with the page's scheme, so that a default port counts the same whether it is written or not.
  const target = `${page.protocol}//${host}`;
  return URL.canParse(target) && new URL(target).host === page.host;
}

const SOCKET_IO_SCRIPT = /^\/socket\.io\/socket\.io(?:\.msgpack|\.esm)?(?:\.min)?\.js(?:\.map)?$/;

/**
 * Whether a foreign page asks for something of ours without saying who it is: `<script>`, `<img>` and the like send no
 * `Origin`. Over JSONP such a page could otherwise open a Socket.IO session and read from it. Scripts meant for pages
 * are exempt.
 */
export function isBlindCrossSite(path: string, headers: IncomingHttpHeaders): boolean {
  if (headers.origin !== undefined || headers["sec-fetch-site"] !== "cross-site") return false;
  return path.startsWith("/v1/") || (path.startsWith("/socket.io/") && !SOCKET_IO_SCRIPT.test(path));
}
