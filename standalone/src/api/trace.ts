import { UsercastError } from "@usercast/protocol";
import { z } from "zod";
import type { ApiOptions } from "./options.ts";
import { type Route, route } from "./route.ts";
import { count, devices, epoch, namedAnswer, offsetInPath, time, userId, userInPath } from "./schemas.ts";

const trace = namedAnswer(
  "MessageTrace",
  z.object({
    userId,
    epoch,
    head: count("The newest offset of the mailbox."),
    offset: count("The message's place in the mailbox."),
    state: z.enum(["waiting", "pushed", "delivered", "read", "expired", "trimmed"]).meta({
      description:
        "How far it came: nobody was given it (`waiting`), somebody was (`pushed`), a device confirmed it (`delivered`), the user read it (`read`); or it was gone before anybody confirmed it.",
    }),
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
        state: z.enum(["not-addressed", "waiting", "pushed", "passed", "delivered", "read"]).meta({
          description:
            "`not-addressed`: it is for other devices. `passed`: the device is beyond it, and no push to it is remembered.",
        }),
        pushes: z.array(z.object({ socketId: z.string(), at: time("When it was pushed") })),
        deliveredAt: time("When it had confirmed this, at the latest").optional(),
        readAt: time("When it had read this, at the latest").optional(),
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
