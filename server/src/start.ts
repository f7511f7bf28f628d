import type { Position, Ready } from "@usercast/protocol";
import type { Broker, DeviceCursors, MailboxState } from "./ports.ts";
import { type Start, stands, startOf } from "./resume.ts";

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
}

/** Asks the broker what the rules of `resume.ts` need to know; nothing when a new life began between two of its answers. */
export async function findStart(broker: Broker, { userId, device, claim }: Starter): Promise<FoundStart | undefined> {
  const state = await broker.position(userId);
  const known = state.devices.get(device);
  const isComparable = claim !== undefined && claim.epoch === state.epoch && claim.offset > 0;
  const page = isComparable ? await broker.read(userId, claim.offset - 1, 1) : undefined;
  if (page !== undefined && page.epoch !== state.epoch) return undefined;
  const isVoid = claim !== undefined && !stands(claim, state.epoch, page);
  const first = isVoid ? (await broker.read(userId, 0, 1)).entries[0]?.offset : undefined;
  return { state, known, start: startOf({ ...state, device: known }, claim, page, first ?? state.head.offset + 1) };
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
