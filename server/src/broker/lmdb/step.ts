import type { Entry } from "../../ports.ts";
import type { CursorSet } from "../cursors.ts";
import { codecs, type Mailbox, type StoredKey } from "./rows.ts";
import type { Codec, RowOf } from "./table.ts";

/** What a transaction changed of one user. */
export interface Change {
  /** Whatever was known of the user before is void. */
  readonly isPurged: boolean;
  mailbox: Mailbox | undefined;
  cursors: CursorSet | undefined;
  /** New messages, in order and without holes. */
  entries: Entry[] | undefined;
  /** New idempotency keys, by their hash; nothing where one is over. */
  keys: Map<string, StoredKey | undefined> | undefined;
}

/** What a transaction moved of a user from the journal to the tables: all there was, or its messages through an offset. */
export type Moved = readonly [userId: string, through: number | null];

/** What a transaction did: what it moved, and then what it changed. */
export interface Step {
  readonly moved: readonly Moved[];
  readonly changes: readonly (readonly [userId: string, Change])[];
}

type ChangeRow = readonly [
  userId: string,
  isPurged: boolean,
  mailbox: RowOf<typeof codecs.mailboxes> | null,
  cursors: RowOf<typeof codecs.cursors> | null,
  entries: readonly (readonly [offset: number, row: RowOf<typeof codecs.entries>])[] | null,
  keys: readonly (readonly [hash: string, row: RowOf<typeof codecs.keys> | null])[] | null,
];
type JournalRow = readonly [moved: readonly Moved[], changes: readonly ChangeRow[]];

/** The rows of the journal. */
export const stepCodec: Codec<number, Step, JournalRow> = {
  encode: ({ moved, changes }) => [moved, changes.map(changeRow)],
  decode: ([moved, changes]) => ({ moved, changes: changes.map(changeOf) }),
};

const changeRow = ([userId, { isPurged, mailbox, cursors, entries, keys }]: readonly [string, Change]): ChangeRow => [
  userId,
  isPurged,
  mailbox === undefined ? null : codecs.mailboxes.encode(mailbox),
  cursors === undefined ? null : codecs.cursors.encode(cursors),
  entries?.map((entry) => [entry.offset, codecs.entries.encode(entry)] as const) ?? null,
  keys ? Array.from(keys, ([hash, key]) => [hash, key ? codecs.keys.encode(key) : null] as const) : null,
];

const changeOf = ([userId, isPurged, mailbox, cursors, entries, keys]: ChangeRow): readonly [string, Change] => [
  userId,
  {
    isPurged,
    mailbox: mailbox === null ? undefined : codecs.mailboxes.decode(mailbox, userId),
    cursors: cursors === null ? undefined : codecs.cursors.decode(cursors, userId),
    entries: entries?.map(([offset, row]) => codecs.entries.decode(row, [userId, offset])),
    keys: keys
      ? new Map(keys.map(([hash, row]) => [hash, row ? codecs.keys.decode(row, [userId, hash]) : undefined]))
      : undefined,
  },
];
