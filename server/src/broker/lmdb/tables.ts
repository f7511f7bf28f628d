import { UsercastError } from "@usercast/protocol";
import { type Key, open, type RootDatabase } from "lmdb";
import type { Entry } from "../../ports.ts";
import { orFail } from "./folder.ts";
import { codecs, type Expiry } from "./rows.ts";
import { stepCodec } from "./step.ts";
import { type Codec, Table } from "./table.ts";

/** What the tables below look like. A folder with another number is refused. */
const FORMAT = 3;

/** Of what is a row already. */
const asIs = <K, Row>(): Codec<K, Row, Row> => ({ encode: (row) => row, decode: (row) => row });

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
      const table = <K extends Key, V, Row>(name: string, codec: Codec<K, V, Row>) =>
        new Table(root.openDB<Row, K>(name, {}), codec);
      return {
        mailboxes: table("mailboxes", codecs.mailboxes),
        entries: table("entries", codecs.entries),
        cursors: table("cursors", codecs.cursors),
        keys: table("keys", codecs.keys),
        /**
         * What ends when. A row is of a key, or of entries that follow each other and end in that order: when the first one does, and the
         * last one's offset. What ends is said by themselves; this only leads to them.
         */
        expiries: table("expiries", asIs<Expiry, number>()),
        journal: table("journal", stepCodec),
        totals: table("totals", codecs.totals),
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

/** The entries of a mailbox from `offset` to before `end`, in order. */
export const entriesFrom = (tables: Tables, userId: string, offset: number, end = Number.MAX_SAFE_INTEGER): Iterable<Entry> =>
  tables.entries.values([userId, offset], [userId, end]);

function openRoot(path: string): RootDatabase<unknown, string> {
  return open({
    path,
    noSubdir: false, // a folder may have a dot in its name
    maxDbs: 12,
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
