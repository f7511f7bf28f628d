import type { IncomingMessage } from "node:http";
import type { HttpBindings } from "@hono/node-server";
import { UsercastError } from "@usercast/protocol";
import type { Context, Handler, Hono } from "hono";
import type { ContentfulStatusCode } from "hono/utils/http-status";

/** What the routes find in their context. */
export interface Env {
  Bindings: HttpBindings;
  Variables: {
    /** The name of the API key of the request. */
    apiKey?: string;
  };
}

/** The path of a request as it came over the wire: nothing decoded, no dot segment resolved, no query. */
export function rawPathOf(request: IncomingMessage): string {
  const target = (request.url ?? "/").replace(/^https?:\/\/[^/?]*/i, "");
  const end = target.search(/[?#]/);
  return (end === -1 ? target : target.slice(0, end)) || "/";
}

/** An error as an HTTP answer. */
export function errorResponse(context: Context<Env>, error: UsercastError): Response {
  if (error.status === 401) context.header("WWW-Authenticate", 'Bearer realm="usercast"');
  context.header("Cache-Control", "no-store");
  return context.json({ error }, error.status as ContentfulStatusCode);
}

/** Routes one path by method; any other method is answered with 405 and what is allowed. `GET` answers `HEAD` too. */
export function methods(app: Hono<Env>, path: string, handlers: Readonly<Record<string, Handler<Env>>>): void {
  for (const [method, handler] of Object.entries(handlers)) app.on(method, path, handler);
  const allowed = Object.keys(handlers).flatMap((method) => (method === "GET" ? ["GET", "HEAD"] : [method]));
  app.all(path, (context) => {
    context.header("Allow", allowed.join(", "));
    return errorResponse(context, new UsercastError("METHOD_NOT_ALLOWED"));
  });
}
