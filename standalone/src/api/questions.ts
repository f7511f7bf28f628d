import { z } from "zod";
import { toJsonData } from "./binary.ts";
import { bodyLimitOf } from "./messages.ts";
import type { ApiOptions } from "./options.ts";
import { type Route, route } from "./route.ts";
import {
  answerTimeout,
  anyJson,
  binary,
  eventName,
  namedAnswer,
  namedRequest,
  onlyDevice,
  userId,
  userInPath,
} from "./schemas.ts";

const question = namedRequest(
  "Question",
  z.strictObject({
    event: eventName,
    data: anyJson,
    timeout: answerTimeout.optional(),
    mode: z.enum(["first", "all", "newest"]).default("first").meta({
      description:
        "Who is asked, and when it is over: `first` asks every connection and takes the first answer, `newest` asks the newest connection alone, `all` waits for every connection.",
    }),
    device: onlyDevice.optional(),
  }),
);

const answerData = {
  data: z.unknown().meta({ description: 'What was answered; binary data is `{ "base64": "…" }`.' }),
  binary,
};

const oneAnswer = namedAnswer("OneAnswer", z.object({ userId, ...answerData }));

const connection = {
  device: z.string(),
  session: z.string().optional(),
  socketId: z.string(),
};

const allAnswers = namedAnswer(
  "AllAnswers",
  z.object({
    userId,
    answers: z.array(z.object({ ...connection, ...answerData })),
    silent: z
      .array(z.object({ ...connection, code: z.string().meta({ description: "Why there is no answer." }) }))
      .meta({ description: "The connections that were asked and did not answer." }),
  }),
);

/** `/v1/users/{id}/questions`: what a user's connections answer. */
export const questionRoutes = ({ users, maxPayloadBytes }: ApiOptions): readonly Route[] => [
  route({
    method: "POST",
    path: "/v1/users/{id}/questions",
    id: "ask",
    summary: "Ask a user's connections and wait for the answer",
    description: "A question is for who is connected now: it is not stored, and nobody who comes later sees it.",
    parameters: { id: userInPath },
    body: { schema: question, maxBytes: bodyLimitOf(maxPayloadBytes) },
    answers: {
      200: {
        description: "The answer; in the mode `all`, every answer and every connection without one.",
        schema: z.union([oneAnswer, allAnswers]),
      },
    },
    errors: [
      "INVALID_USER_ID",
      "INVALID_EVENT",
      "RESERVED_EVENT",
      "INVALID_DATA",
      "INVALID_TIMEOUT",
      "INVALID_DEVICE",
      "INVALID_TARGET",
      "USER_OFFLINE",
      "OVERLOADED",
      "SERVER_CLOSED",
      "UNAVAILABLE",
      "NO_ANSWER",
    ],
  }).answeredBy(async ({ path, body }) => {
    const { event, data, mode, timeout, device } = body;
    let target = users.to(path.id);
    if (device !== undefined) target = target.device(device);
    if (timeout !== undefined) target = target.timeout(timeout);
    if (mode === "all") {
      const { answers, silent } = await target.ask(event, data, { mode });
      const readable = answers.map(({ data, ...from }) => ({ ...from, ...toJsonData(data) }));
      return { status: 200, body: { userId: path.id, answers: readable, silent } };
    }
    return { status: 200, body: { userId: path.id, ...toJsonData(await target.ask(event, data, { mode })) } };
  }),
];
