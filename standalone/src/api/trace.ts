import { UsercastError } from "@usercast/protocol";
import { z } from "zod";
import type { ApiOptions } from "./options.ts";
import { type Route, route } from "./route.ts";
import { count, devices, epoch, namedAnswer, offsetInPath, position, time, userId, userInPath } from "./schemas.ts";

const states = ["waiting", "pushed", "delivered", "read", "expired", "trimmed"] as const;

const trace = namedAnswer(
  "MessageTrace",
  z.object({
    userId,
    epoch,
    head: position.meta({ description: "The newest place of the mailbox." }),
    offset: count("The message's place in the mailbox."),
    state: z.enum(states).meta({ description: "The furthest it came with any device, or why it is gone." }),
    accepted: z
      .object({
        at: time("When it was accepted"),
        expiresAt: time("When it expires"),
        event: z.string(),
        from: z.string().optional(),
        key: z.string().optional(),
        devices: devices.optional(),
      })
      .meta({ description: "How it was accepted; absent once it is gone." })
      .optional(),
    devices: z.array(
      z.object({
        device: z.string(),
        connected: z.boolean(),
        state: z.string(),
        pushes: z.array(z.object({ socketId: z.string(), at: time("When it was pushed") })),
        deliveredAt: time("When the device confirmed").optional(),
        readAt: time("When the device said that it was read").optional(),
      }),
    ),
    summary: z.string().meta({ description: "All that in a sentence; it may change." }),
  }),
);

/** `/v1/users/{id}/messages/{offset}/trace`: what became of a message. */
export const traceRoutes = ({ users }: ApiOptions): readonly Route[] => [
  route({
    method: "GET",
    path: "/v1/users/{id}/messages/{offset}/trace",
    id: "traceMessage",
    summary: "See what became of a message, device by device",
    description: "`NOT_FOUND` where the mailbox holds no such message and never did in this life.",
    parameters: { id: userInPath, offset: offsetInPath },
    answers: { 200: { description: "What is known of the message.", schema: trace } },
    errors: ["INVALID_USER_ID", "INVALID_POSITION", "NOT_FOUND", "STORE_FAILED", "SERVER_CLOSED", "UNAVAILABLE"],
  }).answeredBy(async ({ path }) => {
    const found = await users.trace(path.id, path.offset);
    const { state, summary } = found;
    if (state === "unknown") throw new UsercastError("NOT_FOUND", summary);
    return { status: 200, body: { ...found, state } };
  }),
];
