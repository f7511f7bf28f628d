import type { Entry } from "../../ports.ts";

// What a message is remembered by: numbers in one array and text in one buffer, for a whole mailbox. As objects, a million messages would be
// several million for the collector to look at, again and again.

/** Numbers per message. */
const OFFSET = 0;
const AT = 1;
const EXPIRES_AT = 2;
const BYTES = 3;
/** Where its text begins, how long it is, and how much of it says who sent it under which key. */
const START = 4;
const LENGTH = 5;
const ORIGIN = 6;
const FIELDS = 7;

const LEAST_MESSAGES = 4;
const LEAST_BYTES = 512;
/** No user id and no key holds it. */
const END = "\0";

/** Messages in order of offset; the front is dropped in constant time on average. */
export class Log {
  #numbers = new Float64Array(LEAST_MESSAGES * FIELDS);
  #texts = Buffer.allocUnsafeSlow(LEAST_BYTES);
  /** Messages dropped and messages pushed, as places in `#numbers`. */
  #first = 0;
  #next = 0;
  /** Where the next text goes. */
  #end = 0;
  /** What few messages have, by offset. */
  readonly #extras = new Map<number, Pick<Entry, "attachments" | "devices">>();

  get size(): number {
    return this.#next - this.#first;
  }

  /** The offset of the message at `index`, counted from the front. */
  offset(index: number): number {
    return this.#number(index, OFFSET);
  }

  at(index: number): number {
    return this.#number(index, AT);
  }

  expiresAt(index: number): number {
    return this.#number(index, EXPIRES_AT);
  }

  bytes(index: number): number {
    return this.#number(index, BYTES);
  }

  /** The message at `index`, made anew. */
  entry(index: number): Entry {
    const start = this.#number(index, START);
    const origin = this.#number(index, ORIGIN);
    const offset = this.offset(index);
    const entry: { -readonly [Field in keyof Entry]: Entry[Field] } = {
      offset,
      at: this.at(index),
      expiresAt: this.expiresAt(index),
      text: this.#texts.toString("utf8", start + origin, start + this.#number(index, LENGTH)),
      bytes: this.bytes(index),
    };
    if (origin > 0) {
      const [from = "", key = ""] = this.#texts.toString("utf8", start, start + origin).split(END);
      if (from !== "") entry.from = from;
      if (key !== "") entry.key = key;
    }
    return this.#extras.size === 0 ? entry : Object.assign(entry, this.#extras.get(offset));
  }

  push({ offset, at, expiresAt, bytes, text, from, key, attachments, devices }: Entry): void {
    const origin = from === undefined && key === undefined ? "" : (from ?? "") + END + (key ?? "") + END;
    this.#makeRoom((origin.length + text.length) * 3);
    const numbers = this.#numbers;
    const place = this.#next * FIELDS;
    const originBytes = origin === "" ? 0 : this.#texts.write(origin, this.#end);
    const length = originBytes + this.#texts.write(text, this.#end + originBytes);
    numbers[place + OFFSET] = offset;
    numbers[place + AT] = at;
    numbers[place + EXPIRES_AT] = expiresAt;
    numbers[place + BYTES] = bytes;
    numbers[place + START] = this.#end;
    numbers[place + LENGTH] = length;
    numbers[place + ORIGIN] = originBytes;
    this.#next += 1;
    this.#end += length;
    if (attachments !== undefined || devices !== undefined) {
      this.#extras.set(offset, { ...(attachments && { attachments }), ...(devices && { devices }) });
    }
  }

  /** Drops the front message. */
  drop(): void {
    if (this.size === 0) return;
    if (this.#extras.size > 0) this.#extras.delete(this.offset(0));
    this.#first += 1;
    if (this.size === 0) this.#first = this.#next = this.#end = 0;
  }

  /** Drops every message that is not `wanted`, in one pass. */
  keep(wanted: (index: number) => boolean): void {
    const kept: Entry[] = [];
    for (let index = 0; index < this.size; index += 1) if (wanted(index)) kept.push(this.entry(index));
    if (kept.length === this.size) return;
    this.#first = this.#next = this.#end = 0;
    this.#extras.clear();
    for (const entry of kept) this.push(entry);
  }

  #number(index: number, field: number): number {
    return this.#numbers[(this.#first + index) * FIELDS + field] ?? 0;
  }

  /** Room for one message more: what was dropped is used again where it is at least half, so that moving is constant on average. */
  #makeRoom(bytes: number): void {
    if ((this.#next + 1) * FIELDS > this.#numbers.length) {
      const kept = this.#numbers.subarray(this.#first * FIELDS, this.#next * FIELDS);
      const isHalfEmpty = this.#first >= this.size;
      if (!isHalfEmpty) this.#numbers = new Float64Array(this.#numbers.length * 2);
      this.#numbers.set(kept);
      this.#next -= this.#first;
      this.#first = 0;
    }
    if (this.#end + bytes <= this.#texts.length) return;
    const from = this.size === 0 ? this.#end : this.#number(0, START);
    const kept = this.#texts.subarray(from, this.#end);
    const isHalfEmpty = from >= kept.length && kept.length + bytes <= this.#texts.length;
    if (!isHalfEmpty) this.#texts = Buffer.allocUnsafeSlow(Math.max(this.#texts.length, kept.length + bytes) * 2);
    kept.copy(this.#texts);
    for (let index = this.#first; index < this.#next; index += 1) {
      const place = index * FIELDS + START;
      this.#numbers[place] = (this.#numbers[place] ?? 0) - from;
    }
    this.#end = kept.length;
  }
}
