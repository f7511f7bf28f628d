import type { Position } from "@usercast/protocol";
import type { Draft, Entry } from "../../ports.ts";
import { CursorSet } from "../cursors.ts";
import { Log } from "../log.ts";
import { entryOf } from "../results.ts";
import type { Retention } from "../retention.ts";

/** The log of one user and how far the user's devices have come. */
export class Mailbox {
  /** How far its user has come. */
  readonly cursors = new CursorSet();
  readonly #retention: Retention;
  readonly #log = new Log();
  #head: Position;
  #bytes = 0;
  #trimmed = 0;
  #earliestExpiry = Number.POSITIVE_INFINITY;
  #cleanAgainAt = 0;

  constructor(epoch: string, retention: Retention) {
    this.#head = { epoch, offset: 0, at: 0 };
    this.#retention = retention;
  }

  get head(): Position {
    return this.#head;
  }

  /** Bytes of the entries it holds. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Entries it holds, expired ones included until they are cleaned away. */
  get size(): number {
    return this.#log.size;
  }

  /** The highest offset that a limit has removed. */
  get trimmed(): number {
    return this.#trimmed;
  }

  /** How many bytes the limits would drop from the front to make room for `bytes` more. */
  excess(bytes: number): number {
    let dropped = 0;
    for (let index = 0; index < this.#log.size; index++) {
      if (!this.#isOver(this.#log.size - index + 1, this.#bytes - dropped + bytes)) break;
      dropped += this.#log.bytes(index);
    }
    return dropped;
  }

  /** Whether it can take so many bytes more only by dropping something. */
  isFullFor(bytes: number): boolean {
    return this.#isOver(this.#log.size + 1, this.#bytes + bytes);
  }

  append(draft: Draft, now: number): Entry {
    // Two messages of one millisecond still differ in time, and a clock set back repeats none.
    const at = Math.max(now, this.#head.at + 1);
    const entry = entryOf(draft, this.#head.offset + 1, at, this.#retention);
    while (this.#log.size > 0 && this.isFullFor(entry.bytes)) {
      this.#trimmed = this.#log.offset(0);
      this.#dropFront();
    }
    this.#log.push(entry);
    this.#bytes += entry.bytes;
    this.#head = { epoch: this.#head.epoch, offset: entry.offset, at };
    this.#earliestExpiry = Math.min(this.#earliestExpiry, entry.expiresAt);
    return entry;
  }

  /** Makes room before an append: what has expired goes first, so that it pushes out nothing that has not. */
  makeRoom(bytes: number, now: number): void {
    if (this.#earliestExpiry <= now) while (this.#log.size > 0 && this.#log.expiresAt(0) <= now) this.#dropFront();
    if (!this.isFullFor(bytes)) return;
    // A look at the whole log is worth it once for every quarter of it that was appended: constant on average. Where nothing is
    // appended because it is full, only what has expired makes room.
    if (this.#retention.whenFull === "drop-oldest" && this.#head.offset < this.#cleanAgainAt) return;
    this.clean(now);
    this.#cleanAgainAt = this.#head.offset + Math.ceil(this.#log.size / 4);
  }

  /** Drops everything that has expired. */
  clean(now: number): void {
    if (this.#earliestExpiry > now) return;
    let earliest = Number.POSITIVE_INFINITY;
    this.#log.keep((index) => {
      const expiresAt = this.#log.expiresAt(index);
      const kept = expiresAt > now;
      if (kept) earliest = Math.min(earliest, expiresAt);
      else this.#bytes -= this.#log.bytes(index);
      return kept;
    });
    this.#earliestExpiry = earliest;
  }

  /** The entries after `after`, expired ones included until they are cleaned away. */
  after(after: number): Iterable<Entry> {
    return this.#log.from(this.#log.indexAfter(after));
  }

  /** When the message at an offset was accepted, where it is kept. */
  atOf(offset: number): number | undefined {
    const index = this.#log.indexAfter(offset - 1);
    return index < this.#log.size && this.#log.offset(index) === offset ? this.#log.at(index) : undefined;
  }

  #isOver(messages: number, bytes: number): boolean {
    return messages > this.#retention.maxMailboxMessages || bytes > this.#retention.maxMailboxBytes;
  }

  #dropFront(): void {
    this.#bytes -= this.#log.bytes(0);
    this.#log.drop();
  }
}
