import type { Trouble } from "./deeds.ts";
import type { Bounds } from "./record.ts";
import type { Settings } from "./world.ts";

/** A kind of runs: what they are like, and what troubles them beside connections that break and readers that are slow. */
export interface Family extends Settings {
  readonly promise: string;
  readonly troubles: readonly Trouble[];
}

const BOUNDS: Bounds = {
  windowMessages: 4,
  windowBytes: 300,
  congestionBytes: 1_500,
  maxMailboxMessages: 10_000,
  maxMailboxBytes: 1_000_000,
};

const QUIET = { bounds: BOUNDS, nodes: 1, expires: false, hintsAreLost: false, begins: false, troubles: [] };

/** All families by their names. */
export const FAMILIES = {
  breaks: {
    ...QUIET,
    promise: "whatever happens to connections, every accepted message reaches who stays or comes back, in order, once",
  },
  losses: {
    ...QUIET,
    promise: "what expires or is trimmed on the way is told as missed, and nothing else",
    expires: true,
    bounds: { ...BOUNDS, maxMailboxMessages: 12, maxMailboxBytes: 700 },
  },
  purges: {
    ...QUIET,
    promise: "a purge in between begins a new life, and nothing of the old one leaks into it",
    troubles: ["purge", "resend"],
  },
  failures: {
    ...QUIET,
    promise: "a store that fails at times, before or after it has done something, costs no message and doubles none",
    begins: true,
    troubles: ["fail", "retry", "resend"],
  },
  hints: {
    ...QUIET,
    promise: "hints that are lost, late, repeated or out of order are made up for from the log",
    hintsAreLost: true,
    troubles: ["interrupt"],
  },
  crashes: {
    ...QUIET,
    promise: "a node that is killed at any moment costs no message",
    troubles: ["crash", "retry", "resend"],
  },
  rewinds: {
    ...QUIET,
    promise: "a store that was restored from an older copy, and has grown again, is told as rewound",
    begins: true,
    troubles: ["crash", "restore", "retry"],
  },
  devices: {
    ...QUIET,
    promise: "messages for some devices come to those, and leave no holes with the others",
    troubles: ["filter"],
  },
  moves: {
    ...QUIET,
    promise: "who goes from one of several nodes to another, with the SDK or without, loses nothing",
    nodes: 3,
    begins: true,
  },
  nodes: {
    ...QUIET,
    promise: "on several nodes the same holds",
    nodes: 2,
    hintsAreLost: true,
    begins: true,
    troubles: ["crash", "interrupt", "retry", "filter"],
  },
  everything: {
    ...QUIET,
    promise: "all of it at once",
    expires: true,
    hintsAreLost: true,
    begins: true,
    bounds: { ...BOUNDS, maxMailboxMessages: 20, maxMailboxBytes: 1_500 },
    troubles: ["purge", "fail", "retry", "crash", "resend", "filter", "interrupt"],
  },
} as const satisfies Readonly<Record<string, Family>>;

export type FamilyName = keyof typeof FAMILIES;

/** Those a real store can be put under, whose clock is not the run's and which has no older copy: nothing expires, is trimmed or rewound. */
export const LASTING: readonly FamilyName[] = ["breaks", "purges", "failures", "hints", "crashes", "devices", "nodes"];
