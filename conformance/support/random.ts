/** Numbers from 0 up to 1 that come again with the same seed. */
export type Random = () => number;

/** Mulberry32: small, and good enough to choose moments by. */
export function seeded(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** The seed of this run: `USERCAST_SEED`, else a new one. It is printed, so that a run that failed can be repeated. */
export function announcedSeed(where: string): number {
  const seed = Number(process.env["USERCAST_SEED"] ?? Math.floor(Math.random() * 2 ** 32));
  console.log(`${where}: USERCAST_SEED=${seed}`);
  return seed;
}
