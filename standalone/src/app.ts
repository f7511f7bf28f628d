import type { RequestListener } from "node:http";
import { getRequestListener } from "@hono/node-server";
import { UsercastError } from "@usercast/protocol";
import { Hono, type MiddlewareHandler } from "hono";
import { cors } from "hono/cors";
import type { ApiOptions } from "./api/options.ts";
import { mount } from "./api/route.ts";
import { createRoutes } from "./api/routes.ts";
import { type Env, errorResponse, rawPathOf } from "./http.ts";
import type { ApiKeys } from "./keys.ts";
import { type Logger, printable } from "./log.ts";
import { servePages } from "./pages.ts";
import type { Policy } from "./policy.ts";

/** What the HTTP side of the server stands on. */
export interface AppOptions extends Omit<ApiOptions, "onFailure"> {
  readonly policy: Policy;
  readonly log: Logger;
  /** Who may use the API; everybody who gets through the door where it is missing. */
  readonly apiKeys: ApiKeys | undefined;
  readonly pages: { readonly dir: string; readonly all: boolean; readonly portOf: () => number };
}

const PREFLIGHT_MAX_AGE_S = 600;

/** The HTTP API, the health checks and the pages, as one listener for a Node server. */
export function createApp(options: AppOptions): RequestListener {
  return getRequestListener(createRouter(options).fetch, {
    // HTTP/1.0 may come without a Host; the name is never used.
    hostname: "localhost",
    overrideGlobalObjects: false,
    // What cannot even be made a request of: a Host or a path that is no part of any URL.
    errorHandler: () => Response.json({ error: new UsercastError("INVALID_REQUEST") }, { status: 400 }),
  });
}

/** The same, as Hono knows it. */
export function createRouter(options: AppOptions): Hono<Env> {
  const { policy, log, apiKeys } = options;
  // Routed by the path as it came: Hono's own would decode it, and resolve the dots of an id such as "..".
  const app = new Hono<Env>({
    getPath: ({ url }, extra) => (extra?.env === undefined ? new URL(url).pathname : rawPathOf(extra.env.incoming)),
  });
  const onFailure = (error: UsercastError): void => {
    if (isOurs(error)) log.error({ err: error.cause ?? error, code: error.code }, "request failed");
  };
  app.onError((error, context) => {
    const known = UsercastError.from(error);
    onFailure(known);
    return errorResponse(context, known);
  });
  app.notFound((context) => errorResponse(context, new UsercastError("NOT_FOUND")));

  app.use(accessLog(log));
  app.use(
    "/v1/*",
    cors({
      origin: (origin) => (policy.allowsOrigin(origin) ? origin : null),
      allowMethods: ["GET", "HEAD", "POST", "DELETE"],
      allowHeaders: ["authorization", "content-type", "idempotency-key"],
      maxAge: PREFLIGHT_MAX_AGE_S,
    }),
    requireKey(apiKeys),
  );
  mount(app, createRoutes({ ...options, onFailure }));
  servePages(app, options.pages.dir, options.pages.all, options.pages.portOf);
  return app;
}

/** Whether a request failed for a reason of the server's own: that others were silent is none. */
const isOurs = ({ status }: UsercastError): boolean => status >= 500 && status !== 504;

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
