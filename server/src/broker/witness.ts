import type { Position } from "@usercast/protocol";
import type { CursorMove } from "../ports.ts";

/**
 * Whether a move is of the log as it stands. A store that lost its newest part goes on under the same offsets: what was confirmed
 * of the part that is gone says nothing about what has come in its place.
 *
 * @param atOf the time of the message at an offset, where the log holds one
 */
export function isOfThisLog({ witness }: CursorMove, head: Position, atOf: (offset: number) => number | undefined): boolean {
  if (witness === undefined) return true;
  const { offset, at } = witness;
  if (offset > head.offset) return false;
  if (offset === head.offset) return at === head.at;
  const kept = atOf(offset);
  return kept === undefined ? at <= head.at : at === kept;
}
