// What the cursor of a device waits for where several connections share it, and none can be told from another.

/** A place that a shared cursor does not pass, and that the next connection begins at. */
export interface HeldPlace {
  readonly at: number;
  /** When it is given up, in milliseconds since 1970 by the broker's clock; absent while nothing speaks for that. */
  readonly until?: number;
}

/** What the connections that share a device have not confirmed, wherever they are or were. */
export interface SharedPlaces {
  /** Up to where all connections at each node have confirmed; the one heard of longest ago first. */
  readonly floors: readonly (HeldPlace & { readonly holder: string; readonly number: number })[];
  /** Up to where connections had that ended and are owed the rest, the most first. */
  readonly debts: readonly HeldPlace[];
}

/** What a node says of its connections that share a device. */
export interface SharedMove {
  /** The node, and the life of its process. */
  readonly holder: string;
  /** Rises with everything a holder says: what comes late, or once more, MUST change nothing. */
  readonly number: number;
  /** Up to where all its connections have confirmed; absent where it has none. */
  readonly floor?: number;
  /** Connections that came and went, in that order. */
  readonly turns?: readonly SharedTurn[];
  /** Milliseconds the cursor waits for a holder that says nothing any more, once others are further. */
  readonly heldMs: number;
  /** Milliseconds a debt is kept once another connection is there. */
  readonly owedMs: number;
}

/**
 * A connection began at a place: it crosses off the debt of those at or after it that is owed least. Or one ended, having confirmed
 * up to a place: it is owed the rest, if there is any.
 */
export interface SharedTurn {
  readonly type: "began" | "ended";
  readonly number: number;
  readonly at: number;
}

/** The lowest of the places; above every offset where there is none. */
export const lowest = ({ floors, debts }: SharedPlaces): number =>
  [...floors, ...debts].reduce((least, { at }) => Math.min(least, at), Number.POSITIVE_INFINITY);
