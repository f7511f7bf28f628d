import type { HeldPlace, SharedMove, SharedPlaces, SharedTurn } from "../sharing.ts";

// What the cursor waits for that several connections share. Values in, values out.

/** Nodes of one user, and debts, kept at most: as many as a user may have connections by default. */
const MAX_PLACES = 64;

const NOTHING: SharedPlaces = { floors: [], debts: [] };

/** Where the mailbox stands when a holder says something, and how far it says that its connections have come. */
interface Moment {
  readonly head: number;
  readonly now: number;
  readonly target: number;
}

/** The places without those that are given up by now. */
export function remaining({ floors, debts }: SharedPlaces, now: number): SharedPlaces {
  const isKept = ({ until }: HeldPlace): boolean => until === undefined || until > now;
  return { floors: floors.filter(isKept), debts: debts.filter(isKept) };
}

/** The places after a holder has said something. */
export function after(places: SharedPlaces | undefined, move: SharedMove, moment: Moment): SharedPlaces {
  const { floors, debts } = remaining(places ?? NOTHING, moment.now);
  const { holder, number, floor, turns = [], heldMs, owedMs } = move;
  const { now, target } = moment;
  const said = floors.find((one) => one.holder === holder)?.number ?? 0;
  if (said >= number) return { floors, debts };
  const others = floors
    .filter((one) => one.holder !== holder)
    .map((one) => (one.at < target ? { ...one, until: one.until ?? now + heldMs } : one));
  const all = [...others, ...(floor === undefined ? [] : [{ holder, number, at: floor }])].slice(-MAX_PLACES);
  const owed = turns.filter((turn) => turn.number > said).reduce((left, turn) => taken(left, turn, moment), debts);
  return {
    floors: all,
    // With nobody there nothing passes what is owed, and its time stands still.
    debts: owed.slice(0, MAX_PLACES).map(({ at, until }) => (all.length === 0 ? { at } : { at, until: until ?? now + owedMs })),
  };
}

/** Whether the second is to be written where the first is known. */
export const differ = (first: SharedPlaces | undefined, second: SharedPlaces): boolean => text(first ?? NOTHING) !== text(second);

const text = ({ floors, debts }: SharedPlaces): string =>
  JSON.stringify([floors.map(({ holder, at, until }) => [holder, at, until]), debts.map(({ at, until }) => [at, until])]);

/** The debts, the most first, after a connection came or went. */
function taken(debts: readonly HeldPlace[], { type, at }: SharedTurn, { head }: Moment): readonly HeldPlace[] {
  if (type === "ended") return at < head ? [...debts, { at }].sort((a, b) => a.at - b.at) : debts;
  // Whoever comes next may be the one that is owed the most.
  const least = debts.at(-1);
  return least !== undefined && least.at >= at ? debts.slice(0, -1) : debts;
}
