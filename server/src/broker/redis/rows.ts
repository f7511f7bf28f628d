import type { Position } from "@usercast/protocol";
import type {
  Control,
  Cursors,
  CursorsMoved,
  DeviceCursors,
  DeviceFilter,
  Draft,
  Encoded,
  Entry,
  ReceiptGrant,
  Signal,
  UserCursors,
} from "../../ports.ts";
import { CursorSet } from "../cursors.ts";
import type { RawAnswer } from "./scripts.ts";

// What travels to Redis and back. A message is a line of JSON, then its text, then its binary parts, one after the other.

const NEWLINE = 10;

/** Text and binary parts as bytes, and the lengths by which they are told apart. */
function packBody({ text, attachments = [] }: Pick<Encoded, "text" | "attachments">): readonly [Buffer, readonly number[]] {
  const first = Buffer.from(text);
  if (attachments.length === 0) return [first, []];
  return [Buffer.concat([first, ...attachments]), attachments.map(({ byteLength }) => byteLength)];
}

function unpackBody(body: Buffer, parts: readonly number[]): Pick<Encoded, "text" | "attachments"> {
  if (parts.length === 0) return { text: body.toString() };
  let end = body.length - parts.reduce((sum, length) => sum + length, 0);
  const text = body.toString("utf8", 0, end);
  const attachments = parts.map((length) => {
    const part = new Uint8Array(body.subarray(end, end + length));
    end += length;
    return part;
  });
  return { text, attachments };
}

function split(bytes: Buffer): readonly [head: string, body: Buffer] {
  const end = bytes.indexOf(NEWLINE);
  return [bytes.toString("utf8", 0, end), bytes.subarray(end + 1)];
}

/** What an entry has beside its place, its times and its body. */
interface EntryRest {
  readonly bytes: number;
  readonly from?: string;
  readonly key?: string;
  readonly devices?: DeviceFilter;
  readonly parts?: readonly number[];
}

/** An entry as it is in the log. */
export function readEntry(row: Buffer): Entry {
  const [head, body] = split(row);
  const [offset, at, expiresAt, rest] = JSON.parse(head) as readonly [number, number, number, EntryRest];
  const { bytes, from, key, devices, parts = [] } = rest;
  return {
    offset,
    at,
    expiresAt,
    ...unpackBody(body, parts),
    bytes,
    ...(from !== undefined && { from }),
    ...(key !== undefined && { key }),
    ...(devices && { devices }),
  };
}

/** An entry as it is told: after the life it belongs to. */
export function readEntryHint(hint: Buffer): { readonly entry: Entry; readonly epoch: string } {
  const [epoch, row] = split(hint);
  return { entry: readEntry(row), epoch };
}

type SignalHead = Omit<Signal, "text" | "attachments"> & { readonly parts?: readonly number[] };

/** A signal as it travels. */
export function writeSignal({ text, attachments, ...rest }: Signal): string | Buffer {
  if (attachments === undefined) return `s${JSON.stringify(rest)}\n${text}`;
  const [body, parts] = packBody({ text, attachments });
  return Buffer.concat([Buffer.from(`s${JSON.stringify({ ...rest, parts } satisfies SignalHead)}\n`), body]);
}

/** A signal as it was told. */
export function readSignal(hint: Buffer): Signal {
  const [head, body] = split(hint);
  const { parts = [], ...rest } = JSON.parse(head) as SignalHead;
  return { ...rest, ...unpackBody(body, parts) };
}

interface ControlLine {
  readonly head: Control["head"];
  /** Of the body, where there is one. */
  readonly bytes?: number;
  readonly parts?: readonly number[];
}

/** A control as it travels. */
export function writeControl({ head, body }: Control): Buffer {
  const [packed, parts] = body === undefined ? [Buffer.alloc(0), []] : packBody(body);
  const line: ControlLine = { head, ...(body && { bytes: body.bytes, parts }) };
  return Buffer.concat([Buffer.from(`c${JSON.stringify(line)}\n`), packed]);
}

/** A control as it was told. */
export function readControl(hint: Buffer): Control {
  const [line, packed] = split(hint);
  const { head, bytes, parts = [] } = JSON.parse(line) as ControlLine;
  return bytes === undefined ? { head } : { head, body: { bytes, ...unpackBody(packed, parts) } };
}

/** A move of cursors as it travels. */
export const writeMove = (moved: CursorsMoved): string => `m${JSON.stringify(moved)}`;
/** A move of cursors as it was told. */
export const readMove = (hint: Buffer): CursorsMoved => JSON.parse(hint.toString()) as CursorsMoved;

/** A draft as `publish.lua` takes it: what the script looks at, what it only stores, and the body. */
export function writeDraft(draft: Draft): readonly [header: string, rest: string, body: string | Buffer] {
  const { userId, ttlMs, bytes, from, key, devices } = draft;
  // The client sends texts alone faster than texts and bytes.
  const [body, parts] = draft.attachments === undefined ? [draft.text, []] : packBody(draft);
  const only = devices && "only" in devices ? devices.only : undefined;
  const header = { user: userId, ttl: ttlMs, bytes, digest: key?.digest, receipts: key?.receipts, only };
  const rest: EntryRest = {
    bytes,
    ...(from !== undefined && { from }),
    ...(key && { key: key.key }),
    ...(devices && { devices }),
    ...(parts.length > 0 && { parts }),
  };
  return [JSON.stringify(header), JSON.stringify(rest), body];
}

/** An idempotency key as it is stored: what its first use came to. */
export function readKeyUse(text: string): { readonly position: Position; readonly receipts?: ReceiptGrant } {
  const [epoch = "", offset, at, receipts] = text.split(" ", 4);
  const granted = receipts === "delivered" || receipts === "read" ? receipts : undefined;
  return { position: { epoch, offset: Number(offset), at: Number(at) }, ...(granted && { receipts: granted }) };
}

/** The texts of a list, whether they came as bytes or out of JSON. */
export const textsOf = (answer: RawAnswer | undefined): readonly string[] =>
  Array.isArray(answer) ? answer.map((part: RawAnswer) => (part === null ? "" : String(part))) : [];

/** A mailbox's state as it is stored. */
export interface StoredState {
  /** Its epoch is empty where the mailbox never began. */
  readonly head: Position;
  readonly cursors: CursorSet;
  /** How many moves of cursors there were: whoever moves one must have seen the last. */
  readonly moves: string;
}

/** A device as it is stored: with the number of the move that was its last, because several may move in one millisecond. */
type StoredDevice = DeviceCursors & { readonly order: number };

/** A device's cursors as they are stored after the move with this number. */
export const writeDevice = (device: DeviceCursors, order: number): string =>
  JSON.stringify({ ...device, order } satisfies StoredDevice);

type PassedRanges = Omit<UserCursors, keyof Cursors>;

const NOTHING_PASSED: PassedRanges = { missed: [], skipped: [], unshown: [] };

/** What a user's devices passed, as it is stored. */
export const writePassed = ({ missed, skipped, unshown }: PassedRanges): string => JSON.stringify({ missed, skipped, unshown });

/** What `state.lua` gives. */
export function readState(answer: RawAnswer | undefined): StoredState {
  const [epoch = "", head, at, delivered, read, passed, moves, ...rows] = textsOf(answer);
  const stored: { readonly name: string; readonly order: number; readonly device: DeviceCursors }[] = [];
  for (let i = 0; i + 1 < rows.length; i += 2) {
    const { order, ...device } = JSON.parse(rows[i + 1] ?? "") as StoredDevice;
    stored.push({ name: rows[i] ?? "", order, device });
  }
  stored.sort((a, b) => a.order - b.order);
  const devices = stored.map(({ name, device }) => [name, device] as const);
  const ranges = passed ? (JSON.parse(passed) as PassedRanges) : NOTHING_PASSED;
  const user = { delivered: Number(delivered), read: Number(read), ...ranges };
  return {
    head: { epoch, offset: Number(head), at: Number(at) },
    cursors: new CursorSet(user, devices),
    moves: moves || "0",
  };
}
