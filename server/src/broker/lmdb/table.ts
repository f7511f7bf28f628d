import type { Database, Key } from "lmdb";

/** How values become rows and back. Rows are tuples: objects would repeat the names of their fields in every row. */
export interface Codec<K, V, Row> {
  readonly encode: (value: V) => Row;
  readonly decode: (row: Row, key: K) => V;
}

/** What a codec makes of a value. */
export type RowOf<C> = C extends Codec<never, infer _, infer Row> ? Row : never;

/** One table of the store. Writes belong into a transaction; reads see what is on disk, or the transaction they are in. */
export class Table<K extends Key, V, Row = V> {
  readonly #rows: Database<Row, K>;
  readonly #codec: Codec<K, V, Row>;

  constructor(rows: Database<Row, K>, codec: Codec<K, V, Row>) {
    this.#rows = rows;
    this.#codec = codec;
  }

  get(key: K): V | undefined {
    const row = this.#rows.get(key);
    return row === undefined ? undefined : this.#codec.decode(row, key);
  }

  put(key: K, value: V): void {
    // Inside a transaction this is done, or thrown, when it returns.
    void this.#rows.put(key, this.#codec.encode(value));
  }

  remove(key: K): void {
    void this.#rows.remove(key);
  }

  /** The values from `start` to before `end`, in order of key. Nothing in the table may be changed on the way. */
  values(start: K, end: K): Iterable<V> {
    return this.#rows.getRange({ start, end }).map(({ key, value }) => this.#codec.decode(value, key));
  }

  /** What lies from `start` to before `end`, in order of key. Nothing in the table may be changed on the way. */
  *range(start: K, end: K): Iterable<readonly [K, V]> {
    for (const { key, value } of this.#rows.getRange({ start, end })) yield [key, this.#codec.decode(value, key)];
  }
}
