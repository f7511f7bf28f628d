import { randomUUID } from "node:crypto";
import type { CursorsMoved, Draft, Entry, MailboxListener, Signal } from "../../src/ports.ts";

/** A message to `userId`. */
export function draft(userId: string, fields: Partial<Draft> = {}): Draft {
  const text = fields.text ?? '"message","hi"';
  return { id: randomUUID(), userId, text, bytes: Buffer.byteLength(text), ttlMs: 3_600_000, ...fields };
}

/** What a listener heard. */
export interface Recorder {
  readonly listener: MailboxListener;
  readonly entries: readonly Entry[];
  readonly signals: readonly Signal[];
  readonly moves: readonly CursorsMoved[];
  readonly interruptions: number;
}

/** A listener that writes down what it hears. */
export function recorder(): Recorder {
  const entries: Entry[] = [];
  const signals: Signal[] = [];
  const moves: CursorsMoved[] = [];
  let interruptions = 0;
  const listener: MailboxListener = {
    entry: (entry) => void entries.push(entry),
    signal: (signal) => void signals.push(signal),
    cursors: (moved) => void moves.push(moved),
    control: () => {},
    interrupted: () => {
      interruptions += 1;
    },
  };
  return {
    listener,
    entries,
    signals,
    moves,
    get interruptions() {
      return interruptions;
    },
  };
}
