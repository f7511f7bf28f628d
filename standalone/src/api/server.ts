import { z } from "zod";
import type { ApiOptions } from "./options.ts";
import { type Route, route } from "./route.ts";
import { count, namedAnswer } from "./schemas.ts";

const stats = namedAnswer(
  "Stats",
  z.object({
    users: count("Users with a connection now."),
    connections: count("Their connections."),
    missed: z
      .object({
        expired: count("Their time to live ran out."),
        trimmed: count("The mailbox reached its limit."),
        epoch: count("The mailbox began a new life."),
        rewound: count("The store lost its newest part."),
      })
      .meta({ description: "How often connections were told since the start that messages will not come, by the reason." }),
    writes: z
      .object({
        direct: count("Straight to the connection's own socket."),
        engine: count("Through Engine.IO."),
      })
      .meta({ description: "Messages to connections of this process since the start, by the way they were written." }),
  }),
);

/** Health, and what the server counts. */
export const serverRoutes = ({ users, checkReady }: ApiOptions): readonly Route[] => [
  route({
    method: "GET",
    path: "/v1/stats",
    id: "stats",
    summary: "See what the server counts",
    answers: { 200: { description: "Users and connections of all nodes, and what this one counts.", schema: stats } },
    errors: ["SERVER_CLOSED", "UNAVAILABLE"],
  }).answeredBy(async () => ({ status: 200, body: await users.stats() })),
  route({
    method: "GET",
    path: "/healthz",
    id: "health",
    summary: "See whether the process serves requests",
    isPublic: true,
    answers: { 200: { description: "It does.", schema: z.object({ status: z.literal("ok") }) } },
    errors: [],
  }).answeredBy(async () => ({ status: 200, body: { status: "ok" } })),
  route({
    method: "GET",
    path: "/readyz",
    id: "readiness",
    summary: "See whether the store can be read",
    isPublic: true,
    answers: { 200: { description: "It can.", schema: z.object({ status: z.literal("ready") }) } },
    errors: ["STORE_FAILED", "SERVER_CLOSED", "UNAVAILABLE"],
  }).answeredBy(async () => {
    await checkReady();
    return { status: 200, body: { status: "ready" } };
  }),
];
