// Messages whose JSON has exactly 100 bytes, no two of them alike, so that nobody can keep an encoding. What tells them apart is a number
// of 13 digits at a fixed distance from the end: a count, or the time of sending, which receivers then find without parsing.

/** Bytes of the JSON of every message. */
export const MESSAGE_BYTES = 100;
/** What is added to every number, so that each has as many digits. */
const BASE = 1e12;
const DIGITS = 13;
const TEXT_LENGTH = MESSAGE_BYTES - '{"n":,"text":""}'.length - DIGITS;
/** Where the digits begin, counted from the end of the JSON. */
const DIGITS_FROM_END = MESSAGE_BYTES - '{"n":'.length;
const TEXTS = 1_021;
/** What has a server send a message: the time it is due, as a double. */
export const TRIGGER_BYTES = 8;

/** Text without a pattern, and the same in every run. */
const pool = (() => {
  let state = 1;
  return Array.from({ length: TEXTS + TEXT_LENGTH }, () => {
    state = (state * 48_271) % 0x7fffffff;
    return String.fromCharCode(97 + (state % 26));
  }).join("");
})();

/**
 * The message with this number.
 * @param {number} number a whole one, from 0 to 9e12
 */
export function message(number) {
  const from = number % TEXTS;
  return { n: BASE + number, text: pool.slice(from, from + TEXT_LENGTH) };
}

/**
 * The number of a message.
 * @param {Uint8Array} bytes
 * @param {number} end right behind its JSON
 */
export function numberOf(bytes, end) {
  let number = 0;
  const from = end - DIGITS_FROM_END;
  for (let i = from; i < from + DIGITS; i += 1) number = number * 10 + (bytes[i] ?? 0) - 48;
  return number - BASE;
}

/** The time, in microseconds, by a clock that all processes of a machine share. */
export const nowMicros = () => Math.round(Number(process.hrtime.bigint()) / 1e3);
