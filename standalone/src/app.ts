import type { RequestListener } from "node:http";
import { getRequestListener } from "@hono/node-server";
import { UsercastError } from "@usercast/protocol";
import { Hono, type MiddlewareHandler } from "hono";
import { cors } from "hono/cors";
import { createApi, type Users } from "./api.ts";
import { type Env, errorResponse, methods, rawPathOf } from "./http.ts";
import type { ApiKeys } from "./keys.ts";
import { type Logger, printable } from "./log.ts";
import { servePages } from "./pages.ts";
import type { Policy } from "./policy.ts";

/** What the HTTP side of the server stands on. */
export interface AppOptions {
  readonly users: Users;
  readonly policy: Policy;
  readonly log: Logger;
  readonly maxPayloadBytes: number;
  /** Who may use the API; everybody who gets through the door where it is missing. */
  readonly apiKeys: ApiKeys | undefined;
  /** Rejects when the server cannot take messages now. */
  readonly checkReady: () => Promise<void>;
  readonly pages: { readonly dir: string; readonly all: boolean; readonly portOf: () => number };
}

const PREFLIGHT_MAX_AGE_S = 600;

/** The HTTP API, the health checks and the pages, as one listener for a Node server. */
export function createApp(options: AppOptions): RequestListener {
  const { users, policy, log, apiKeys } = options;
  // Routed by the path as it came: Hono's own would decode it, and resolve the dots of an id such as "..".
  const app = new Hono<Env>({
    getPath: ({ url }, extra) => (extra?.env === undefined ? new URL(url).pathname : rawPathOf(extra.env.incoming)),
  });
  app.onError((error, context) => {
    const known = UsercastError.from(error);
    if (known.status >= 500) log.error({ err: error, code: known.code }, "request failed");
    return errorResponse(context, known);
  });
  app.notFound((context) => errorResponse(context, new UsercastError("NOT_FOUND")));

  app.use(accessLog(log));
  methods(app, "/healthz", { GET: (context) => context.json({ status: "ok" }, 200, NO_STORE) });
  methods(app, "/readyz", {
    GET: async (context) => {
      await options.checkReady();
      return context.json({ status: "ready" }, 200, NO_STORE);
    },
  });
  app.use(
    "/v1/*",
    cors({
      origin: (origin) => (policy.allowsOrigin(origin) ? origin : null),
      allowMethods: ["GET", "HEAD", "POST", "DELETE"],
      allowHeaders: ["authorization", "content-type", "idempotency-key"],
      maxAge: PREFLIGHT_MAX_AGE_S,
    }),
    requireKey(apiKeys),
    refuseQuery,
  );
  app.route("/", createApi(users, options.maxPayloadBytes));
  servePages(app, options.pages.dir, options.pages.all, options.pages.portOf);

  return getRequestListener(app.fetch, {
    // HTTP/1.0 may come without a Host; the name is never used.
    hostname: "localhost",
    overrideGlobalObjects: false,
    // What cannot even be made a request of: a Host or a path that is no part of any URL.
    errorHandler: () => Response.json({ error: new UsercastError("INVALID_REQUEST") }, { status: 400 }),
  });
}

const NO_STORE = { "cache-control": "no-store" };

/** One line per request, without its query string: that is where people put tokens. */
function accessLog(log: Logger): MiddlewareHandler<Env> {
  return async (context, next) => {
    const start = performance.now();
    await next();
    log.info(
      {
        method: context.req.method,
        path: printable(rawPathOf(context.env.incoming)),
        status: context.res.status,
        ms: Math.round(performance.now() - start),
        key: context.get("apiKey"),
      },
      "request",
    );
  };
}

function requireKey(apiKeys: ApiKeys | undefined): MiddlewareHandler<Env> {
  return async (context, next) => {
    context.header("Cache-Control", "no-store");
    if (apiKeys !== undefined) {
      const name = apiKeys.nameOf(context.req.header("authorization"));
      if (name === undefined) throw new UsercastError("UNAUTHORIZED");
      context.set("apiKey", name);
    }
    await next();
  };
}

/** No address takes a query, and one that was ignored would let its writer believe in it. */
const refuseQuery: MiddlewareHandler<Env> = async (context, next) => {
  const { incoming } = context.env;
  if (incoming.url?.includes("?")) throw new UsercastError("INVALID_REQUEST", "This address takes no query parameters.");
  await next();
};
