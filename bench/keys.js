// The figures that are claimed: each is the ratio of two rows of one run. `least` is what has to be reached and `goal` what is aimed at;
// where less is better, they are what must not be exceeded.

export const KEYS = {
  "volatile/seed": { family: "one", row: "volatile", against: "seed", least: 1.9, goal: 2.5 },
  "volatile/raw-ws": { family: "one", row: "volatile", against: "raw-send", least: 0.95, goal: 1.2 },
  "repeat/seed": { family: "repeat", row: "volatile", against: "seed", least: 2.2, goal: 3 },
  "burst/seed": { family: "burst", row: "volatile", against: "seed", least: 6, goal: 10 },
  "memory-broker/seed": { family: "one", row: "memory", against: "seed", least: 1.3, goal: 2 },
  "lmdb/seed": { family: "one", row: "lmdb", against: "seed", least: 0.8, goal: 1.3 },
  "route/seed": { family: "route", row: "memory", against: "seed", least: 1.2, goal: 2 },
  "five-devices/room": { family: "five", row: "volatile", against: "room", least: 1.5, goal: 2.5 },
  "idle-memory/socket.io": { family: "idle", row: "usercast", against: "bare", least: 1.15, goal: 1.05, lessIsBetter: true },
  "catch-up/rows": { family: "catch-up", row: "lmdb", against: "lmdb-rows", least: 4, goal: 10 },
  "nodes/redis-adapter": { family: "nodes", row: "volatile-2", against: ["classic-2", "sharded-2"], least: 1.5, goal: 3 },
  "latency/seed": { family: "latency", row: "memory-half", against: "seed-half", least: 1.1, goal: 0.9, lessIsBetter: true },
};

/** The rows a key is compared with: of several, the one that is best counts. */
export const rowsAgainst = ({ against }) => [against].flat();

/** The keys whose rows were measured, with their ratios: of medians, as `cases` have them. */
export function ratiosOf(cases) {
  const medianOf = (family, row) => cases.find((one) => one.family === family && one.row === row)?.median;
  const ratios = {};
  for (const [key, { family, row, lessIsBetter = false, ...rest }] of Object.entries(KEYS)) {
    const figure = medianOf(family, row);
    const others = rowsAgainst(rest).map((name) => medianOf(family, name));
    if (figure === undefined || others.includes(undefined)) continue;
    ratios[key] = figure / (lessIsBetter ? Math.min(...others) : Math.max(...others));
  }
  return ratios;
}

/** Whether a ratio is at the `goal`, at `least`, or neither. */
export function verdictOf(key, ratio) {
  const { least, goal, lessIsBetter = false } = KEYS[key];
  const reaches = (bound) => (lessIsBetter ? ratio <= bound : ratio >= bound);
  if (reaches(goal)) return "goal";
  return reaches(least) ? "reached" : "missed";
}
