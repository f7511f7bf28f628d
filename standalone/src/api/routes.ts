import { batchRoutes } from "./batch.ts";
import { messageRoutes } from "./messages.ts";
import { openApiRoute } from "./openapi.ts";
import type { ApiOptions } from "./options.ts";
import { questionRoutes } from "./questions.ts";
import type { Route } from "./route.ts";
import { serverRoutes } from "./server.ts";
import { traceRoutes } from "./trace.ts";
import { userRoutes } from "./users.ts";

/** Every route of the API. The application and the document about it are both made of this list, so neither has more. */
export function createRoutes(options: ApiOptions): readonly Route[] {
  const all = [messageRoutes, batchRoutes, questionRoutes, traceRoutes, userRoutes, serverRoutes];
  const routes = all.flatMap((make) => make(options));
  return [...routes, openApiRoute(routes)];
}
