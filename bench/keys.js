// The figures that are claimed: each is the ratio of two rows of one run. `least` is what has to be reached and `goal` what is aimed at;
// where less is better, they are what must not be exceeded.

/**
 * @typedef {object} Key
 * @property {string} family the family of cases it is from
 * @property {string} row
 * @property {string | readonly string[]} against the row it is compared with; of several, the one that is best counts
 * @property {number} least
 * @property {number} goal
 * @property {boolean} [lessIsBetter]
 * @property {string} says what it is, for people
 */

/** @type {Readonly<Record<string, Key>>} */
export const KEYS = {
  "volatile/seed": {
    family: "one",
    row: "volatile",
    against: "seed",
    least: 1.9,
    goal: 2.5,
    says: "volatile send of a fresh 100-byte message to one user, against the seed's map",
  },
  "volatile/raw-ws": {
    family: "one",
    row: "volatile",
    against: "raw-send",
    least: 0.95,
    goal: 1.2,
    says: "the same against a bare `ws` server that does `ws.send(JSON.stringify(…))`",
  },
  "repeat/seed": {
    family: "repeat",
    row: "volatile",
    against: "seed",
    least: 2.2,
    goal: 3,
    says: "one message to 1,000 users, `users.to([…])`, per delivered message, against the seed's map in a loop",
  },
  "burst/seed": {
    family: "burst",
    row: "volatile",
    against: "seed",
    least: 6,
    goal: 10,
    says: "burst of 50 to one user, against the seed's map",
  },
  "memory-broker/seed": {
    family: "one",
    row: "memory",
    against: "seed",
    least: 1.3,
    goal: 2,
    says: "durable send on the memory broker, against the seed's volatile one",
  },
  "lmdb/seed": {
    family: "one",
    row: "lmdb",
    against: "seed",
    least: 0.8,
    goal: 1.3,
    says: "durable and flushed send on LMDB, 1,000 at once, against the seed's volatile one",
  },
  "route/seed": {
    family: "route",
    row: "memory",
    against: "seed",
    least: 1.2,
    goal: 2,
    says: "a client's durable send to another user, memory broker, against the seed's volatile one",
  },
  "five-devices/room": {
    family: "five",
    row: "volatile",
    against: "room",
    least: 1.5,
    goal: 2.5,
    says: "5 connections per user, per delivered message, against a room per user",
  },
  "idle-memory/socket.io": {
    family: "idle",
    row: "usercast",
    against: "bare",
    least: 1.15,
    goal: 1.05,
    lessIsBetter: true,
    says: "memory of an idle registered connection, against bare Socket.IO's",
  },
  "catch-up/rows": {
    family: "catch-up",
    row: "lmdb",
    against: "lmdb-rows",
    least: 4,
    goal: 10,
    says: "catch-up on LMDB, against emitting rows stored in LMDB one by one",
  },
  "nodes/redis-adapter": {
    family: "nodes",
    row: "volatile-2",
    against: ["classic-2", "sharded-2"],
    least: 1.5,
    goal: 3,
    says: "volatile send over 2 nodes, against the better of the Redis adapters",
  },
  "latency/seed": {
    family: "latency",
    row: "memory-half",
    against: "seed-half",
    least: 1.1,
    goal: 0.9,
    lessIsBetter: true,
    says: "latency of a durable message, memory broker, p99 at half of the seed's saturation, against the seed's",
  },
};

/**
 * The rows a key is compared with.
 * @param {Pick<Key, "against">} key
 * @returns {readonly string[]}
 */
export const rowsAgainst = ({ against }) => (typeof against === "string" ? [against] : against);

/**
 * The keys whose rows were measured, with their ratios: of medians.
 * @param {readonly { readonly family: string, readonly row: string, readonly median: number }[]} cases
 */
export function ratiosOf(cases) {
  const medianOf = (/** @type {string} */ family, /** @type {string} */ row) =>
    cases.find((one) => one.family === family && one.row === row)?.median;
  /** @type {Record<string, number>} */
  const ratios = {};
  for (const [name, key] of Object.entries(KEYS)) {
    const figure = medianOf(key.family, key.row);
    const others = rowsAgainst(key).flatMap((row) => medianOf(key.family, row) ?? []);
    if (figure === undefined || others.length < rowsAgainst(key).length) continue;
    ratios[name] = figure / (key.lessIsBetter ? Math.min(...others) : Math.max(...others));
  }
  return ratios;
}

/**
 * Whether a ratio is at the goal, at what has to be reached, or at neither.
 * @param {string} name
 * @param {number} ratio
 */
export function verdictOf(name, ratio) {
  const key = KEYS[name];
  if (key === undefined) throw new Error(`There is no key ${name}.`);
  const reaches = (/** @type {number} */ bound) => (key.lessIsBetter ? ratio <= bound : ratio >= bound);
  if (reaches(key.goal)) return "goal";
  return reaches(key.least) ? "reached" : "missed";
}
