import { z } from "zod";
import type { ApiOptions } from "./options.ts";
import { type Route, route } from "./route.ts";
import { count, namedAnswer, time, userId, userInPath } from "./schemas.ts";

const connection = namedAnswer(
  "Connection",
  z.object({
    socketId: z.string(),
    device: z.string().meta({ description: "Clients without the SDK share the device `plain`." }),
    session: z.string().meta({ description: "The page or process; absent for clients without the SDK." }).optional(),
    connectedAt: time("When it connected"),
    state: z.enum(["joining", "catching-up", "live", "closed", "unknown"]).meta({
      description: "`unknown`: it is at another node, which did not say in time.",
    }),
    sent: count("The newest offset it was pushed."),
    confirmed: count("Everything up to here has arrived."),
  }),
);

const user = namedAnswer(
  "User",
  z.object({
    userId,
    online: z.boolean(),
    lastSeen: time("When the last connection ended, as long as that is remembered").optional(),
    devices: z.array(z.string()).meta({ description: "The devices connected now." }),
    connections: z.array(connection),
  }),
);

const closed = namedAnswer("Closed", z.object({ userId, closed: count("How many connections there were.") }));

/** `/v1/users/{id}` and its connections. */
export const userRoutes = ({ users }: ApiOptions): readonly Route[] => [
  route({
    method: "GET",
    path: "/v1/users/{id}",
    id: "describeUser",
    summary: "See whether a user is connected, and how",
    description: "A user nobody has heard of is not an error: `online` is false and the lists are empty.",
    parameters: { id: userInPath },
    answers: { 200: { description: "Presence, and each connection.", schema: user } },
    errors: ["INVALID_USER_ID", "SERVER_CLOSED", "UNAVAILABLE"],
  }).answeredBy(async ({ path: { id } }) => {
    const [{ online, devices, lastSeen }, connections] = await Promise.all([users.presence(id), users.connections(id)]);
    return {
      status: 200,
      body: {
        userId: id,
        online,
        lastSeen,
        devices,
        connections: connections.map(({ userId: _, ...connection }) => connection),
      },
    };
  }),
  route({
    method: "DELETE",
    path: "/v1/users/{id}",
    id: "purgeUser",
    summary: "Forget a user's mailbox",
    description:
      "Messages, confirmations and idempotency keys are gone for good, and the next message begins a new life of the mailbox. Connections are sent away and come back by themselves.",
    parameters: { id: userInPath },
    answers: { 204: { description: "There is no mailbox any more, whether or not there was one." } },
    errors: ["INVALID_USER_ID", "OVERLOADED", "STORE_FAILED", "SERVER_CLOSED", "UNAVAILABLE"],
  }).answeredBy(async ({ path: { id } }) => {
    await users.mailbox(id).purge();
    return { status: 204 };
  }),
  route({
    method: "DELETE",
    path: "/v1/users/{id}/connections",
    id: "disconnectUser",
    summary: "Close a user's connections for good",
    description: "They are told `DISCONNECTED` and stay away until somebody connects again. It revokes no token.",
    parameters: { id: userInPath },
    answers: { 200: { description: "How many there were.", schema: closed } },
    errors: ["INVALID_USER_ID", "SERVER_CLOSED", "UNAVAILABLE"],
  }).answeredBy(async ({ path: { id } }) => ({ status: 200, body: { userId: id, closed: await users.disconnect(id, {}) } })),
];
