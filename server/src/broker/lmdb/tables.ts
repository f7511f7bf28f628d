import { createHash } from "node:crypto";
import { UsercastError } from "@usercast/protocol";
import { type Database, open } from "lmdb";
import type { Cursors, Draft, Entry, SendKey } from "../../ports.ts";
import { CursorSet } from "../cursors.ts";
import { keyScope } from "../results.ts";
import { orFail } from "./folder.ts";

/** What the tables below look like. Another number in the folder is refused. */
const FORMAT = 1;

// Rows are tuples: objects would repeat the names of their fields in every row.
type MailboxRow = readonly [
  epoch: string,
  head: number,
  headAt: number,
  first: number,
  trimmed: number,
  count: number,
  bytes: number,
];
type EntryRow = readonly [
  at: number,
  expiresAt: number,
  bytes: number,
  text: string,
  from: string | null,
  key: string | null,
  attachments: readonly Uint8Array[] | null,
];
type CursorsRow = readonly [delivered: number, read: number, devices: readonly (readonly [string, number, number])[]];
type KeyRow = readonly [digest: string, offset: number, at: number, expiresAt: number];
type TotalsRow = readonly [mailboxes: number, bytes: number, keys: number];

/** A mailbox without its messages. */
export interface Mailbox {
  readonly epoch: string;
  head: number;
  headAt: number;
  /** No entry is older; there may be none here, because entries expire out of order. */
  first: number;
  trimmed: number;
  count: number;
  bytes: number;
}

/** What a key's first use came to. */
export interface StoredKey {
  readonly digest: string;
  readonly offset: number;
  readonly at: number;
  readonly expiresAt: number;
}

/** What the whole store holds. */
export interface Totals {
  mailboxes: number;
  bytes: number;
  keys: number;
}

/** The place of an entry, or of an idempotency key by its hash. */
export type Place = readonly [userId: string, offsetOrHash: number | string];

/** The tables of one folder, with values that are more than rows. */
export interface Tables {
  readonly mailboxes: Table<string, Mailbox, MailboxRow>;
  readonly entries: Table<Place, StoredEntry, EntryRow>;
  readonly cursors: Table<string, CursorSet, CursorsRow>;
  readonly keys: Table<Place, StoredKey, KeyRow>;
  /** Every entry (with its bytes) and every key (with 0) once more, in the order in which their time is over. */
  readonly expiries: Table<readonly [expiresAt: number, ...Place], number, number>;
  readonly totals: Table<"totals", Totals, TotalsRow>;
  /** Runs `action` in one transaction that is undone when it throws; resolves when it is on disk. */
  transact<T>(action: () => T): Promise<T>;
  close(): Promise<void>;
}

type StoredEntry = Omit<Entry, "offset">;

/**
 * Opens the tables of a folder, or makes them in an empty one.
 * @throws UsercastError `STORE_FORMAT` or `STORE_FAILED`
 */
export function openTables(path: string): Tables {
  const root = orFail(`The data folder ${path} cannot be opened`, () => openRoot(path));
  try {
    const state = root.openDB<unknown, string>("state", {});
    checkFormat(path, state.get("format"), [...root.getKeys()]);
    if (state.get("format") === undefined) state.putSync("format", FORMAT);
    const table = <K, V, R>(name: string, codec: Codec<V, R>) => new Table<K, V, R>(root.openDB(name, {}), codec);
    return {
      mailboxes: table("mailboxes", mailboxCodec),
      entries: table("entries", entryCodec),
      cursors: table("cursors", cursorsCodec),
      keys: table("keys", keyCodec),
      expiries: table("expiries", { encode: (bytes) => bytes, decode: (bytes) => bytes }),
      totals: new Table(state as Database<TotalsRow, string>, totalsCodec),
      // A child transaction, because LMDB's own keeps what was written before a throw.
      transact: (action) => root.childTransaction(action) as unknown as Promise<ReturnType<typeof action>>,
      close: () => root.close(),
    };
  } catch (error) {
    void root.close();
    throw error;
  }
}

function openRoot(path: string) {
  return open({
    path,
    noSubdir: false, // a folder may have a dot in its name
    maxDbs: 8,
    // With the default, entries can be read before they are on disk.
    overlappingSync: false,
    // Transactions are batched by our own writer; with the default, a failed commit ends the process as an unhandled rejection.
    eventTurnBatching: false,
  });
}
