import type { DeviceCursors, DeviceFilter, Entry, Mutable, ReceiptGrant } from "../../ports.ts";
import type { OffsetRange } from "../../ranges.ts";
import type { SharedPlaces } from "../../sharing.ts";
import { CursorSet } from "../cursors.ts";
import type { Codec } from "./table.ts";

// What is kept, and the rows it is kept in.

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
/** When the time of entries (from an offset on) or of an idempotency key (at its hash) is over. */
export type Expiry = [expiresAt: number, userId: string, offsetOrHash: number | string];

type MailboxRow = readonly [string, number, number, number, number, number, number];
/** What most messages do not have is left out at the end. */
type EntryRow = readonly [
  at: number,
  expiresAt: number,
  bytes: number,
  text: string,
  from?: string | null,
  key?: string | null,
  attachments?: readonly Uint8Array[] | null,
  devices?: DeviceFilter | null,
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
  encode: ({ at, expiresAt, bytes, text, from, key, attachments, devices }) =>
    from === undefined && key === undefined && attachments === undefined && devices === undefined
      ? [at, expiresAt, bytes, text]
      : [at, expiresAt, bytes, text, from ?? null, key ?? null, attachments ?? null, devices ?? null],
  // Row by row while thousands are caught up: most have none of the optional fields, and spreads of nothing cost as much as the rest.
  decode: ([at, expiresAt, bytes, text, from, key, attachments, devices], [, offset]) => {
    const entry: Mutable<Entry> = { offset, at, expiresAt, text, bytes };
    if (from) entry.from = from;
    if (key) entry.key = key;
    if (attachments) entry.attachments = attachments.map(plainBytes);
    if (devices) entry.devices = devices;
    return entry;
  },
};

/** Bytes as they were given, and not as a buffer of Node's. */
const plainBytes = ({ buffer, byteOffset, length }: Uint8Array): Uint8Array => new Uint8Array(buffer, byteOffset, length);

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

/** The rows of each table. */
export const codecs = { mailboxes, entries, cursors, keys, totals };
