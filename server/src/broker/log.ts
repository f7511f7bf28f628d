import type { Entry, Mutable } from "../ports.ts";

// What a message is remembered by: numbers in one array and text in one buffer, for many messages. As objects, a million messages would be
// several million for the collector to look at, again and again. A log is a row of such segments, so that none has to be moved when it grows:
// where many mailboxes grow alike, that would hold up everybody at once.

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

/** A log's first segment is small, each further one twice as large, up to these. */
const LEAST_MESSAGES = 4;
const MOST_MESSAGES = 128;
const LEAST_BYTES = 512;
const MOST_BYTES = 16_384;
/** No user id and no key holds it. */
const END = "\0";

/** Some messages in order of offset. */
class Segment {
  readonly #numbers: Float64Array;
  readonly #texts: Buffer;
  /** Where the next text goes. */
  #end = 0;
  #isAscii = true;
  /** All texts as one, while it is being read. */
  #whole: string | undefined;
  /** How many messages there are, dropped ones included. */
  count = 0;

  /** @param bytes room for texts */
  constructor(messages: number, bytes: number) {
    this.#numbers = new Float64Array(messages * FIELDS);
    this.#texts = Buffer.allocUnsafeSlow(bytes);
  }

  get isLargest(): boolean {
    return this.#numbers.length === MOST_MESSAGES * FIELDS && this.#texts.length === MOST_BYTES;
  }

  hasRoomFor(bytes: number): boolean {
    return (this.count + 1) * FIELDS <= this.#numbers.length && this.#end + bytes <= this.#texts.length;
  }

  number(index: number, field: number): number {
    return this.#numbers[index * FIELDS + field] ?? 0;
  }

  text(from: number, to: number): string {
    // A character is a byte then, and a piece of a text is not copied.
    if (this.#whole !== undefined) return this.#whole.slice(from, to);
    return this.#texts.toString(this.#isAscii ? "latin1" : "utf8", from, to);
  }

  /** Much of it is read from now on, until `false`. */
  set isRead(isRead: boolean) {
    this.#whole = isRead && this.#isAscii ? this.#texts.toString("latin1", 0, this.#end) : undefined;
  }

  push({ offset, at, expiresAt, bytes, text }: Entry, origin: string): void {
    const numbers = this.#numbers;
    const place = this.count * FIELDS;
    const originBytes = origin === "" ? 0 : this.#texts.write(origin, this.#end);
    const length = originBytes + this.#texts.write(text, this.#end + originBytes);
    if (length !== origin.length + text.length) this.#isAscii = false;
    numbers[place + OFFSET] = offset;
    numbers[place + AT] = at;
    numbers[place + EXPIRES_AT] = expiresAt;
    numbers[place + BYTES] = bytes;
    numbers[place + START] = this.#end;
    numbers[place + LENGTH] = length;
    numbers[place + ORIGIN] = originBytes;
    this.count += 1;
    this.#end += length;
    this.#whole = undefined;
  }

  clear(): void {
    this.count = 0;
    this.#end = 0;
    this.#isAscii = true;
  }
}

/** Messages in order of offset; pushed and dropped in constant time. */
export class Log {
  readonly #segments: Segment[] = [];
  /** How many messages came before each segment, since the log was last empty. */
  readonly #before: number[] = [];
  /** Messages dropped and messages pushed since then. */
  #first = 0;
  #next = 0;
  /** The place of the segment that was asked for last. */
  #recent = 0;
  /** One that was dropped, for the next that is needed. */
  #spare: Segment | undefined;
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

  /** The index of the first message after an offset. */
  indexAfter(offset: number): number {
    let low = 0;
    let high = this.size;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.offset(middle) <= offset) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** The messages from `index` to before `end`, made anew. */
  *from(index: number, end = this.size): Iterable<Entry> {
    let segment: Segment | undefined;
    try {
      for (let next = index; next < end; next += 1) {
        const own = this.#segmentOf(next);
        if (own !== segment && segment !== undefined) segment.isRead = false;
        // Whoever wants one message only has no use for the others' texts.
        if (next === index + 1 || (own !== segment && next > index)) own.isRead = true;
        segment = own;
        yield this.#entry(own, next);
      }
    } finally {
      if (segment !== undefined) segment.isRead = false;
    }
  }

  push(entry: Entry): void {
    const { offset, text, from, key, attachments, devices } = entry;
    const origin = from === undefined && key === undefined ? "" : (from ?? "") + END + (key ?? "") + END;
    this.#lastWithRoomFor((origin.length + text.length) * 3).push(entry, origin);
    this.#next += 1;
    if (attachments !== undefined || devices !== undefined) {
      this.#extras.set(offset, { ...(attachments && { attachments }), ...(devices && { devices }) });
    }
  }

  /** Drops the front message. */
  drop(): void {
    if (this.size === 0) return;
    if (this.#extras.size > 0) this.#extras.delete(this.offset(0));
    this.#first += 1;
    if (this.size === 0) this.#empty();
    else if (this.#first === this.#before[1]) {
      this.#before.shift();
      this.#keep(this.#segments.shift());
      this.#recent = 0;
    }
  }

  /** Drops every message that is not `wanted`, in one pass. */
  keep(wanted: (index: number) => boolean): void {
    const places: number[] = [];
    for (let index = 0; index < this.size; index += 1) if (wanted(index)) places.push(index);
    if (places.length === this.size) return;
    const kept = places.map((index) => this.#entry(this.#segmentOf(index), index));
    this.#empty();
    this.#extras.clear();
    for (const entry of kept) this.push(entry);
  }

  #entry(segment: Segment, index: number): Entry {
    const place = this.#first + index - (this.#before[this.#recent] ?? 0);
    const start = segment.number(place, START);
    const origin = segment.number(place, ORIGIN);
    const offset = segment.number(place, OFFSET);
    const entry: Mutable<Entry> = {
      offset,
      at: segment.number(place, AT),
      expiresAt: segment.number(place, EXPIRES_AT),
      text: segment.text(start + origin, start + segment.number(place, LENGTH)),
      bytes: segment.number(place, BYTES),
    };
    if (origin > 0) {
      const [from = "", key = ""] = segment.text(start, start + origin).split(END);
      if (from !== "") entry.from = from;
      if (key !== "") entry.key = key;
    }
    return this.#extras.size === 0 ? entry : Object.assign(entry, this.#extras.get(offset));
  }

  #number(index: number, field: number): number {
    const segment = this.#segmentOf(index);
    return segment.number(this.#first + index - (this.#before[this.#recent] ?? 0), field);
  }

  /** The segment that holds the message at `index`; its place is `#recent` then. */
  #segmentOf(index: number): Segment {
    const place = this.#first + index;
    const before = this.#before;
    let low = this.#recent;
    if ((before[low] ?? 0) > place || (before[low + 1] ?? this.#next) <= place) {
      low = 0;
      let high = before.length - 1;
      while (low < high) {
        const middle = (low + high + 1) >>> 1;
        if ((before[middle] ?? 0) <= place) low = middle;
        else high = middle - 1;
      }
      this.#recent = low;
    }
    return this.#segments[low] as Segment;
  }

  /** The last segment, or a new one behind it. */
  #lastWithRoomFor(bytes: number): Segment {
    const last = this.#segments.at(-1);
    if (last?.hasRoomFor(bytes)) return last;
    const added = this.#spare?.hasRoomFor(bytes) ? this.#spare : this.#make(bytes);
    if (added === this.#spare) this.#spare = undefined;
    this.#segments.push(added);
    this.#before.push(this.#next);
    return added;
  }

  #make(bytes: number): Segment {
    const factor = 2 ** Math.min(this.#segments.length, 16);
    const messages = Math.min(LEAST_MESSAGES * factor, MOST_MESSAGES);
    return new Segment(messages, Math.max(bytes, Math.min(LEAST_BYTES * factor, MOST_BYTES)));
  }

  #empty(): void {
    this.#keep(this.#segments.at(-1));
    this.#segments.length = this.#before.length = 0;
    this.#first = this.#next = this.#recent = 0;
  }

  /** For the next one that is needed, where it is of a common size. */
  #keep(segment: Segment | undefined): void {
    segment?.clear();
    if (segment?.isLargest || this.#segments.length <= 1) this.#spare = segment;
  }
}
