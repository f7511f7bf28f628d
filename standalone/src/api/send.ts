import { type ErrorCode, UsercastError } from "@usercast/protocol";
import { z } from "zod";
import type { Users } from "./options.ts";
import { anyJson, count, epoch, eventName, exceptDevice, namedAnswer, onlyDevice, time, timeToLive, userId } from "./schemas.ts";

/** The fields of a send that do not say to whom. */
export const sendFields = {
  // Said twice, because the document leaves out the default of what passes a function.
  event: eventName.default("message").meta({ default: "message" }),
  data: anyJson,
  ttl: timeToLive.optional(),
  volatile: z.boolean().optional().meta({ description: "`true` sends a signal: to whoever is connected now, never stored." }),
  device: onlyDevice.optional(),
  exceptDevice: exceptDevice.optional(),
};

/** A durable send's answer. */
export const accepted = namedAnswer(
  "Accepted",
  z.object({
    userId,
    state: z.enum(["pushed", "queued", "duplicate"]).meta({
      description:
        "`pushed`: kept, and a connection of the user lives. `queued`: kept until the user comes. `duplicate`: the key had taken effect before, at this place.",
    }),
    epoch,
    offset: count("The message's place in the mailbox."),
    at: time("When it was accepted"),
  }),
);

/** A signal's answer. */
export const signalled = namedAnswer("Signalled", z.object({ userId, state: z.literal("signalled") }));

/** What a send can fail with, beside a bad body. */
export const SEND_ERRORS = [
  "INVALID_USER_ID",
  "INVALID_EVENT",
  "RESERVED_EVENT",
  "INVALID_DATA",
  "INVALID_TTL",
  "INVALID_IDEMPOTENCY_KEY",
  "IDEMPOTENCY_KEY_ON_VOLATILE",
  "INVALID_DEVICE",
  "INVALID_TARGET",
  "IDEMPOTENCY_CONFLICT",
  "PAYLOAD_TOO_LARGE",
  "OVERLOADED",
  "STORE_FAILED",
  "UNAVAILABLE",
  "SERVER_CLOSED",
  "MAILBOX_FULL",
  "STORE_FULL",
  "IDEMPOTENCY_FULL",
] as const satisfies readonly ErrorCode[];

/** One send, checked. */
export interface Send extends z.output<z.ZodObject<typeof sendFields>> {
  readonly key?: string | undefined;
}

/**
 * Sends. What is called first for a user comes first, also where nobody waits in between.
 * @throws UsercastError whatever `emit` rejects with; `INVALID_TARGET` for two wishes about devices
 */
export async function sendTo(
  users: Users,
  userId: string,
  send: Send,
  maxPayloadBytes: number,
): Promise<z.output<typeof accepted> | z.output<typeof signalled>> {
  const { event, data, ttl, key, device, exceptDevice } = send;
  if (device !== undefined && exceptDevice !== undefined) {
    throw new UsercastError("INVALID_TARGET", "A send names either device or exceptDevice.");
  }
  let target = users.to(userId);
  if (device !== undefined) target = target.device(device);
  if (exceptDevice !== undefined) target = target.except({ device: exceptDevice });
  if (send.volatile === true) {
    if (key !== undefined || ttl !== undefined) throw new UsercastError("IDEMPOTENCY_KEY_ON_VOLATILE");
    checkSize(event, data, maxPayloadBytes);
    target.volatile.emit(event, data);
    return { userId, state: "signalled" };
  }
  if (ttl !== undefined) target = target.ttl(ttl);
  if (key !== undefined) target = target.idempotencyKey(key);
  const { state, epoch, offset, at } = await target.emit(event, data);
  return { userId, state, epoch, offset, at };
}

/** A volatile send reports nothing back, so what could not be sent is found here. */
function checkSize(event: string, data: unknown, maxPayloadBytes: number): void {
  let text: string;
  try {
    text = JSON.stringify([event, data]);
  } catch (error) {
    throw new UsercastError("INVALID_DATA", undefined, { cause: error });
  }
  if (Buffer.byteLength(text) - 2 > maxPayloadBytes) throw new UsercastError("PAYLOAD_TOO_LARGE");
}
