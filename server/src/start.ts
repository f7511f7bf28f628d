import type { Position, Ready } from "@usercast/protocol";
import { NOTHING_PASSED, type PassedOver } from "./passed.ts";
import type { Broker, DeviceCursors, MailboxState } from "./ports.ts";
import { added, type OffsetRange, without } from "./ranges.ts";
import { type Elsewhere, isFor, isForOthers, NOTHING_ELSEWHERE, type Start, stands, startOf } from "./resume.ts";

/** Who asks where to start. */
export interface Starter {
  readonly userId: string;
  readonly device: string;
  /** What the client says it had settled. */
  readonly claim?: Position;
}

/** Where a connection starts, and where the mailbox stood then. */
export interface FoundStart {
  readonly state: MailboxState;
  /** The device's own cursors, where it is known. */
  readonly known: DeviceCursors | undefined;
  readonly start: Start;
  readonly elsewhere: Elsewhere;
  /** What the client, which claims to be further than its device's cursor, cannot have been given any more. */
  readonly passed: PassedOver;
}

/** Entries per read on the way to a claim. */
const PAGE = 128;
/** Ranges of missed messages on the way to a claim; beyond it the oldest become one. */
const MAX_RANGES = 64;

/** Asks the broker what the rules of `resume.ts` need to know; nothing when a new life began between two of its answers. */
export async function findStart(broker: Broker, { userId, device, claim }: Starter): Promise<FoundStart | undefined> {
  const state = await broker.position(userId);
  const known = state.devices.get(device);
  const isComparable = claim !== undefined && claim.epoch === state.epoch && claim.offset > 0;
  const page = isComparable ? await broker.read(userId, claim.offset - 1, 1) : undefined;
  if (page !== undefined && page.epoch !== state.epoch) return undefined;
  const isVoid = claim !== undefined && !stands(claim, state.epoch, page);
  const first = isVoid ? (await broker.read(userId, 0, 1)).entries[0]?.offset : undefined;
  const start = startOf({ ...state, device: known }, claim, page, first ?? state.head.offset + 1);
  // One that others have only sent to was not here yet.
  const isNew = claim === undefined && (known === undefined || known.deliveredAt === 0);
  const passedBy = without(state.user.skipped, { first: start.offset + 1, last: state.head.offset });
  const unseen = isNew ? await stillThere(broker, { userId, device }, passedBy) : [];
  const reached = (known ?? state.user).delivered;
  const between = claim === undefined ? undefined : await passedBetween(broker, { userId, device }, reached, start.offset);
  const offset = Math.min(start.offset, (unseen[0]?.first ?? Number.POSITIVE_INFINITY) - 1);
  const passed = known === undefined ? beginningAt(claim === undefined ? offset : Math.min(offset, reached), between) : between;
  const elsewhere = unseen.length > 0 ? { through: start.offset, unseen } : NOTHING_ELSEWHERE;
  return { state, known, start: { ...start, offset }, elsewhere, passed: passed ?? NOTHING_PASSED };
}

/** What a device passes that the store does not know. A literal with a spread would leave room behind its fields, in every connection. */
const beginningAt = (began: number, passed: PassedOver | undefined): PassedOver =>
  passed === undefined ? { began } : { ...passed, began };

/** The ranges that hold something for a device still, from there on. */
async function stillThere(
  broker: Broker,
  { userId, device }: Starter,
  ranges: readonly OffsetRange[],
): Promise<readonly OffsetRange[]> {
  const found: OffsetRange[] = [];
  for (const { first, last } of ranges) {
    const entry = (await broker.read(userId, first - 1, 1)).entries[0];
    if (entry !== undefined && entry.offset <= last && isFor(entry, device)) found.push({ first: entry.offset, last });
  }
  return found;
}

/** What a device cannot have been given of what comes after one offset up to another: it is not kept any more, or for all devices but this one. */
async function passedBetween(broker: Broker, { userId, device }: Starter, after: number, through: number): Promise<PassedOver> {
  let missed: readonly OffsetRange[] = [];
  let skipped: readonly OffsetRange[] = [];
  for (let at = after; at < through; ) {
    const page = await broker.read(userId, at, PAGE);
    const end = Math.min(Math.max(page.through, at + 1), through);
    for (const entry of page.entries) {
      const { offset, devices } = entry;
      if (offset > end) break;
      missed = added(missed, { first: at + 1, last: offset - 1 }, MAX_RANGES);
      if (isForOthers({ devices }, device)) skipped = added(skipped, { first: offset, last: offset }, MAX_RANGES);
      at = offset;
    }
    missed = added(missed, { first: at + 1, last: end }, MAX_RANGES);
    at = end;
  }
  return { missed, skipped };
}

/** The position of a start whose message the log may no longer hold; then a time between its neighbours', which nothing contradicts. */
export async function positionOf({ state, start }: FoundStart, broker: Broker, { userId, claim }: Starter): Promise<Position> {
  const { epoch, head } = state;
  const { offset } = start;
  if (offset === 0) return { epoch, offset, at: 0 };
  if (offset === head.offset) return head;
  if (claim?.epoch === epoch && claim.offset === offset) return claim;
  const next = (await broker.read(userId, offset - 1, 1)).entries[0];
  return { epoch, offset, at: next?.offset === offset ? next.at : (next ?? head).at - 1 };
}

/** What `usercast:ready` says beside the start itself. */
export function introduce(
  { userId, device, session = "", secret }: Starter & { readonly session?: string; readonly secret: string },
  context: { readonly windowMessages: number; readonly maxPayloadBytes: number; readonly broker: Broker },
): Omit<Ready, "position" | "head" | "read"> {
  const { windowMessages, maxPayloadBytes, broker } = context;
  return { userId, secret, device, session, limits: { windowMessages, maxPayloadBytes, idempotencyMs: broker.idempotencyMs } };
}
