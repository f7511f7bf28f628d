// WebSocket frames as far as the bench needs them: text, in one piece, of less than 64 KiB.

const TEXT = 0x81;
const MASKED = 0x80;
/** From this length on two bytes tell it. */
const LONG = 126;
/** Clients have to mask; what with is up to them. */
const MASK = Uint8Array.of(0x37, 0xfa, 0x21, 0x3d);

/**
 * The frame a server sends.
 * @param {string} text of Latin letters
 */
export function serverFrame(text) {
  const { length } = text;
  const head = length < LONG ? 2 : 4;
  const frame = Buffer.allocUnsafe(head + length);
  frame[0] = TEXT;
  if (head === 2) frame[1] = length;
  else {
    frame[1] = LONG;
    frame.writeUInt16BE(length, 2);
  }
  frame.write(text, head, "latin1");
  return frame;
}

/**
 * The frame a client sends.
 * @param {string} text of Latin letters
 */
export function clientFrame(text) {
  const { length } = text;
  const head = length < LONG ? 2 : 4;
  const frame = Buffer.allocUnsafe(head + MASK.length + length);
  frame[0] = TEXT;
  frame[1] = MASKED | (head === 2 ? length : LONG);
  if (head === 4) frame.writeUInt16BE(length, 2);
  frame.set(MASK, head);
  const from = head + MASK.length;
  frame.write(text, from, "latin1");
  for (let i = 0; i < length; i += 1)
    frame[from + i] = /** @type {number} */ (frame[from + i]) ^ /** @type {number} */ (MASK[i & 3]);
  return frame;
}

/** @type {Buffer} */
const NOTHING = Buffer.alloc(0);

/** Cuts what a server wrote into the texts of its frames. */
export class FrameReader {
  /** The beginning of a frame whose end has not come. */
  #rest = NOTHING;
  #onText;

  /** @param {(bytes: Buffer, from: number, to: number) => void} onText is given each text as a part of bytes that it must not keep */
  constructor(onText) {
    this.#onText = onText;
  }

  /** @param {Buffer} bytes */
  push(bytes) {
    let at = 0;
    const all = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    while (all.length - at >= 2) {
      let length = /** @type {number} */ (all[at + 1]);
      let head = 2;
      if (length >= LONG) {
        if (length > LONG) throw new Error("A frame of 64 KiB or more came.");
        if (all.length - at < 4) break;
        length = all.readUInt16BE(at + 2);
        head = 4;
      }
      const end = at + head + length;
      if (end > all.length) break;
      // Other frames, such as those that close a connection, are left out.
      if (all[at] === TEXT) this.#onText(all, at + head, end);
      at = end;
    }
    this.#rest = at === all.length ? NOTHING : Buffer.from(all.subarray(at));
  }
}
