import type { Missed, Position } from "@usercast/protocol";
import type { Cursors, DeviceCursors, DeviceFilter, Entry, MailboxState, Page } from "./ports.ts";
import { includes, type OffsetRange } from "./ranges.ts";
import { lowest } from "./sharing.ts";

// Where a connection starts, and what it will not get. Values in, values out.

/** What the start of a connection depends on: where the mailbox stands, and its device, if that is known. */
export type StartState = Pick<MailboxState, "epoch" | "head"> & {
  readonly user: Cursors;
  readonly device?: (Cursors & Pick<DeviceCursors, "shared">) | undefined;
};

/** Where a connection starts. */
export interface Start {
  /** The first message it is sent comes after this offset. */
  readonly offset: number;
  /** What it has to be told first, because its own position means nothing any more. */
  readonly missed?: Missed;
}

/**
 * Whether the log speaks against a claimed position of its epoch. `page` is what was read after `claim.offset - 1`.
 *
 * Times of acceptance are strictly increasing and never change, so a log that was rewound and has grown again carries
 * another time at the offset the client knows, or a later one does not follow it.
 */
export function contradicts(claim: Position, page: Page): boolean {
  const { head } = page;
  if (claim.offset > head.offset) return true;
  if (claim.offset === 0) return false;
  if (claim.offset === head.offset) return claim.at !== head.at;
  const next = page.entries[0];
  if (next?.offset === claim.offset) return next.at !== claim.at;
  return claim.at >= (next ?? head).at;
}

/**
 * Whether a claimed position is a place in today's log.
 *
 * @param page what follows `claim.offset - 1` in the log; asked for only with a claim of this epoch above offset 0
 */
export function stands(claim: Position, epoch: string, page: Page | undefined): boolean {
  // Offset 0 is where every log begins, so nothing can speak against it.
  return claim.epoch === epoch && (claim.offset === 0 || (page !== undefined && !contradicts(claim, page)));
}

/**
 * The start of a connection by the five rules, in their order: a position the client brings; one that means nothing any
 * more; the cursor of a known device (which for plain clients is the one they share); and, for a device never seen, the furthest any
 * device of the user has come.
 *
 * @param claim the position the client brings, if any
 * @param page as for `stands`
 * @param firstOffset the first retained offset; asked for only when the claim means nothing any more
 */
export function startOf(state: StartState, claim?: Position, page?: Page, firstOffset = 1): Start {
  const byDevice = state.device && placeOf(state.device);
  if (claim === undefined) return { offset: byDevice ?? state.user.delivered };
  if (stands(claim, state.epoch, page)) return { offset: claim.offset };
  const offset = byDevice ?? firstOffset - 1;
  // Who had seen nothing has lost nothing.
  if (claim.offset === 0) return { offset };
  return {
    offset,
    missed: { after: claim.offset, before: offset + 1, reason: claim.epoch === state.epoch ? "rewound" : "epoch" },
  };
}

/** Where a device begins: at its cursor, or where somebody who shares it is owed more. Any of them may be the one that comes. */
const placeOf = ({ delivered, shared }: NonNullable<StartState["device"]>): number =>
  shared === undefined ? delivered : Math.min(delivered, lowest(shared));

const NO_HOLES: readonly Missed[] = [];

/** The hole between two offsets that were given, told by its reasons: what limits removed, then what expired. */
export function holes(after: number, before: number, trimmed: number): readonly Missed[] {
  if (before <= after + 1) return NO_HOLES;
  const split = Math.min(Math.max(trimmed, after), before - 1);
  const found: Missed[] = [];
  if (split > after) found.push({ after, before: split + 1, reason: "trimmed" });
  if (split < before - 1) found.push({ after: split, before, reason: "expired" });
  return found;
}

/** Whether a message or signal is for connections of `device`. */
export function isFor({ devices }: { readonly devices?: DeviceFilter }, device: string): boolean {
  if (devices === undefined) return true;
  return "only" in devices ? devices.only === device : devices.except !== device;
}

/** Whether something is for all devices but this one: the others may not have had it yet. */
export const isForOthers = ({ devices }: { readonly devices?: DeviceFilter | undefined }, device: string): boolean =>
  devices !== undefined && "except" in devices && devices.except === device;

/** What a user has had on other devices before a new one came, and what they passed because it was for all but them. */
export interface Elsewhere {
  readonly through: number;
  readonly unseen: readonly OffsetRange[];
}

/** What nearly all connections have, shared by them. */
export const NOTHING_ELSEWHERE: Elsewhere = { through: 0, unseen: [] };

/** Whether a device is to be given an entry. */
export const isDue = (entry: Entry, device: string, { through, unseen }: Elsewhere): boolean =>
  isFor(entry, device) && (entry.offset > through || includes(unseen, entry.offset));
