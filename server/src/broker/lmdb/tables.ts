import { UsercastError } from "@usercast/protocol";
import { type Key, open, type RootDatabase } from "lmdb";
import type { DeviceCursors, DeviceFilter, Entry, Mutable, ReceiptGrant } from "../../ports.ts";
import type { OffsetRange } from "../../ranges.ts";
import type { SharedPlaces } from "../../sharing.ts";
import { CursorSet } from "../cursors.ts";
import { orFail } from "./folder.ts";
import { type Codec, Table } from "./table.ts";

/** What the tables below look like. A folder with another number is refused. */
const FORMAT = 2;

/** A mailbox without its messages. */
export interface Mailbox {
  readonly epoch: string;
  head: number;
  headAt: number;
  /** No entry is older. There may be none here either: entries expire out of order. */
  first: number;
  trimmed: number;
  count: number;
  bytes: number;
}

/** What a key's first use came to. Its epoch is the mailbox's: a purge takes both. */
export interface StoredKey {
  readonly digest: string;
  readonly offset: number;
  readonly at: number;
  readonly expiresAt: number;
  readonly receipts?: ReceiptGrant;
}

/** What the whole store holds. */
export interface Totals {
  mailboxes: number;
  bytes: number;
  keys: number;
}

type EntryPlace = [userId: string, offset: number];
type KeyPlace = [userId: string, hash: string];
/** When the time of an entry (at its offset) or of an idempotency key (at its hash) is over. */
export type Expiry = [expiresAt: number, userId: string, offsetOrHash: number | string];

type MailboxRow = readonly [string, number, number, number, number, number, number];
type EntryRow = readonly [
  at: number,
  expiresAt: number,
  bytes: number,
  text: string,
  from: string | null,
  key: string | null,
  attachments: readonly Uint8Array[] | null,
  devices: DeviceFilter | null,
];
type DeviceRow = readonly [
  name: string,
  delivered: number,
  read: number,
  deliveredAt: number,
  readAt: number,
  seenAt: number,
  transient: boolean,
  shared?: SharedPlaces,
];
type RangeRow = readonly [first: number, last: number];
type CursorsRow = readonly [
  delivered: number,
  read: number,
  missed: readonly RangeRow[],
  skipped: readonly RangeRow[],
  unshown: readonly RangeRow[],
  devices: readonly DeviceRow[],
];
type KeyRow = readonly [digest: string, offset: number, at: number, expiresAt: number, receipts: ReceiptGrant | null];
type TotalsRow = readonly [number, number, number];

const mailboxes: Codec<string, Mailbox, MailboxRow> = {
  encode: ({ epoch, head, headAt, first, trimmed, count, bytes }) => [epoch, head, headAt, first, trimmed, count, bytes],
  decode: ([epoch, head, headAt, first, trimmed, count, bytes]) => ({ epoch, head, headAt, first, trimmed, count, bytes }),
};

const entries: Codec<EntryPlace, Entry, EntryRow> = {
  encode: ({ at, expiresAt, bytes, text, from, key, attachments, devices }) => [
    at,
    expiresAt,
    bytes,
    text,
    from ?? null,
    key ?? null,
    attachments ?? null,
    devices ?? null,
  ],
  // Row by row while thousands are caught up: most have none of the optional fields, and spreads of nothing cost as much as the rest.
  decode: ([at, expiresAt, bytes, text, from, key, attachments, devices], [, offset]) => {
    const entry: Mutable<Entry> = { offset, at, expiresAt, text, bytes };
    if (from !== null) entry.from = from;
    if (key !== null) entry.key = key;
    if (attachments !== null) entry.attachments = attachments;
    if (devices !== null) entry.devices = devices;
    return entry;
  },
};

const rangeRows = (ranges: readonly OffsetRange[]): readonly RangeRow[] => ranges.map(({ first, last }) => [first, last]);
const rangesOf = (rows: readonly RangeRow[]): readonly OffsetRange[] => rows.map(([first, last]) => ({ first, last }));

const cursors: Codec<string, CursorSet, CursorsRow> = {
  encode: ({ user: { delivered, read, missed, skipped, unshown }, all }) => [
    delivered,
    read,
    rangeRows(missed),
    rangeRows(skipped),
    rangeRows(unshown),
    Array.from(all, ([name, device]): DeviceRow => {
      const { delivered, read, deliveredAt, readAt, seenAt, transient, shared } = device;
      const row = [name, delivered, read, deliveredAt, readAt, seenAt, transient] as const;
      return shared === undefined ? row : [...row, shared];
    }),
  ],
  decode: ([delivered, read, missed, skipped, unshown, devices]) =>
    new CursorSet(
      { delivered, read, missed: rangesOf(missed), skipped: rangesOf(skipped), unshown: rangesOf(unshown) },
      devices.map(([name, delivered, read, deliveredAt, readAt, seenAt, transient, shared]): [string, DeviceCursors] => [
        name,
        { delivered, read, deliveredAt, readAt, seenAt, transient, ...(shared && { shared }) },
      ]),
    ),
};

const keys: Codec<KeyPlace, StoredKey, KeyRow> = {
  encode: ({ digest, offset, at, expiresAt, receipts }) => [digest, offset, at, expiresAt, receipts ?? null],
  decode: ([digest, offset, at, expiresAt, receipts]) => ({ digest, offset, at, expiresAt, ...(receipts && { receipts }) }),
};

const totals: Codec<string, Totals, TotalsRow> = {
  encode: ({ mailboxes, bytes, keys }) => [mailboxes, bytes, keys],
  decode: ([mailboxes, bytes, keys]) => ({ mailboxes, bytes, keys }),
};

const number: Codec<Key, number, number> = { encode: (value) => value, decode: (row) => row };

/** The tables of one folder. */
export type Tables = ReturnType<typeof openTables>;

/**
 * Opens the tables of a folder, and makes them in an empty one.
 * @throws UsercastError `STORE_FORMAT` or `STORE_FAILED`
 */
export function openTables(path: string) {
  const root = orFail(`The data folder ${path} cannot be opened`, () => openRoot(path));
  try {
    return orFail(`The data folder ${path} cannot be read`, () => {
      checkFormat(path, root);
      return {
        mailboxes: new Table(root.openDB<MailboxRow, string>("mailboxes", {}), mailboxes),
        entries: new Table(root.openDB<EntryRow, EntryPlace>("entries", {}), entries),
        cursors: new Table(root.openDB<CursorsRow, string>("cursors", {}), cursors),
        keys: new Table(root.openDB<KeyRow, KeyPlace>("keys", {}), keys),
        /** Every entry with its bytes and every key with 0, in the order in which their time is over. */
        expiries: new Table(root.openDB<number, Expiry>("expiries", {}), number),
        totals: new Table(root.openDB<TotalsRow, string>("totals", {}), totals),
        /**
         * Runs `action` in one transaction, which is undone when it throws; resolves when it is on disk. It is a child
         * transaction because LMDB's outer one would keep what was written before the throw.
         */
        transact: async <T>(action: () => T): Promise<T> => root.childTransaction(action),
        close: () => root.close(),
      };
    });
  } catch (error) {
    void root.close();
    throw error;
  }
}

/** The entries of a mailbox at `offset` and after, in order. */
export const entriesFrom = (tables: Tables, userId: string, offset: number): Iterable<Entry> =>
  tables.entries.values([userId, offset], [userId, Number.MAX_SAFE_INTEGER]);

function openRoot(path: string): RootDatabase<unknown, string> {
  return open({
    path,
    noSubdir: false, // a folder may have a dot in its name
    maxDbs: 8,
    // With the default, entries can be read before they are on disk.
    overlappingSync: false,
    // Our own writer gathers batches; with the default, a failed commit ends the process as an unhandled rejection.
    eventTurnBatching: false,
  });
}

/** Refuses what another version wrote, before anything is changed. */
function checkFormat(path: string, root: RootDatabase<unknown, string>): void {
  const names = [...root.getKeys()];
  if (names.length > 0 && !names.includes("state")) {
    throw new UsercastError("STORE_FORMAT", `The files in ${path} are not a store of Usercast's.`);
  }
  const state = root.openDB<unknown, string>("state", {});
  const format = state.get("format");
  // The format is written before any other table is made; without both, opening was cut short and can begin again.
  if (format === undefined && names.length <= 1) state.putSync("format", FORMAT);
  else if (format !== FORMAT) {
    throw new UsercastError(
      "STORE_FORMAT",
      `The data folder ${path} has format ${String(format)}; this version of Usercast reads format ${FORMAT}.`,
    );
  }
}
