import type { SendState } from "@usercast/protocol";
import type { CursorsMoved, DeviceCursors, DeviceFilter, MailboxState, ReceiptGrant } from "./ports.ts";
import { includes } from "./ranges.ts";
import { isFor } from "./resume.ts";

// What became of a message, told from how far the devices of its recipient have come. Values in, values out.

/** A message by its place, and whose business it is. */
export interface Place {
  readonly epoch: string;
  readonly offset: number;
  /** Devices that count; all where there is none. */
  readonly devices?: DeviceFilter;
}

/** When something became of a message, and through which device, where that is known still. */
export interface Passage {
  readonly device?: string;
  /** Milliseconds since 1970; for what happened some time ago, when that device's cursor last moved. */
  readonly at: number;
}

/** How far a message has come. `read` is there only with `delivered`. */
export interface Progress {
  readonly delivered?: Passage;
  readonly read?: Passage;
}

type When = (cursors: DeviceCursors) => number;

/** The device that passed `offset` first, as far as that can be told afterwards. */
function firstOf(devices: Iterable<readonly [string, DeviceCursors]>, at: When): Passage {
  let first: { readonly device: string; readonly at: number } | undefined;
  for (const [device, cursors] of devices) {
    if (first === undefined || at(cursors) < first.at) first = { device, at: at(cursors) };
  }
  return first ?? { at: 0 };
}

/** What can be told of a message from where its recipient's mailbox stands. */
export function progressOf({ epoch, devices, user }: MailboxState, place: Place): Progress {
  const { offset } = place;
  // What devices passed without being given it is not delivered, and nobody can have read it.
  if (epoch !== place.epoch || includes(user.missed, offset) || includes(user.skipped, offset)) return {};
  const counting = [...devices].filter(([device, { deliveredAt }]) => isFor(place, device) && deliveredAt > 0);
  const given = counting.filter(([, { delivered }]) => delivered >= offset);
  // Devices that were forgotten left nothing behind but the user's own furthest place.
  const isDelivered = place.devices === undefined ? user.delivered >= offset : given.length > 0;
  if (!isDelivered) return {};
  const delivered = firstOf(given, ({ deliveredAt }) => deliveredAt);
  const readers = counting.filter(([, { read }]) => read >= offset);
  const isRead = place.devices === undefined ? user.read >= offset : readers.length > 0;
  if (!isRead || includes(user.unshown, offset)) return { delivered };
  return { delivered, read: firstOf(readers, ({ readAt }) => readAt) };
}

/** Whether a move of a device is what delivers a message. */
export const delivers = ({ epoch, device, from, to, missed }: CursorsMoved, place: Place): boolean =>
  epoch === place.epoch &&
  isFor(place, device) &&
  from.delivered < place.offset &&
  place.offset <= to.delivered &&
  !includes(missed, place.offset);

/**
 * Whether a move of a device is what shows a message as read. Whoever reads up to some place has read what is there for all; what
 * is there for some devices only, they read themselves.
 */
export const shows = ({ epoch, device, from, to, userRead, unshown }: CursorsMoved, place: Place): boolean =>
  epoch === place.epoch &&
  !unshown &&
  isFor(place, device) &&
  (place.devices === undefined ? userRead : from.read) < place.offset &&
  place.offset <= to.read;

/** The one word for it that a sender may be told. */
export function stateOf({ delivered, read }: Progress, grant: ReceiptGrant): SendState {
  if (read !== undefined && grant === "read") return "read";
  return delivered === undefined ? "accepted" : "delivered";
}
