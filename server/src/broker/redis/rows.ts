import { createHash } from "node:crypto";
import type { Position, UsercastError } from "@usercast/protocol";
import type { CursorsMoved, DeviceCursors, DeviceFilter, Draft, Encoded, Entry, PublishResult, Signal } from "../../ports.ts";
import type { OffsetRange } from "../../ranges.ts";
import { CursorSet } from "../cursors.ts";
import { failed } from "../results.ts";
import type { RawAnswer } from "./scripts.ts";

// What travels to Redis and back. A message is a line of JSON, then its text, then its binary parts, one after the other.

const NEWLINE = 10;

/** Text and binary parts as bytes, and the lengths by which they are told apart. */
export function packBody({ text, attachments = [] }: Encoded): { readonly body: Buffer; readonly parts: readonly number[] } {
  const first = Buffer.from(text);
  if (attachments.length === 0) return { body: first, parts: [] };
  return {
    body: Buffer.concat([first, ...attachments]),
    parts: attachments.map(({ byteLength }) => byteLength),
  };
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

interface EntryHead {
  readonly offset: number;
  readonly at: number;
  readonly expiresAt: number;
  readonly bytes: number;
  readonly epoch: string;
  readonly from?: string;
  readonly key?: string;
  readonly devices?: DeviceFilter;
  readonly parts?: readonly number[];
}

function split<Head>(bytes: Buffer): { readonly head: Head; readonly body: Buffer } {
  const end = bytes.indexOf(NEWLINE);
  return { head: JSON.parse(bytes.toString("utf8", 0, end)) as Head, body: bytes.subarray(end + 1) };
}

/** An entry as it is in the log and in hints, and the life it belongs to. */
export function readEntry(bytes: Buffer): { readonly entry: Entry; readonly epoch: string } {
  const { head, body } = split<EntryHead>(bytes);
  const { offset, at, expiresAt, epoch, from, key, devices, parts = [] } = head;
  const entry: Entry = {
    offset,
    at,
    expiresAt,
    bytes: head.bytes,
    ...unpackBody(body, parts),
    ...(from !== undefined && { from }),
    ...(key !== undefined && { key }),
    ...(devices && { devices }),
  };
  return { entry, epoch };
}

type SignalHead = Omit<Signal, "text" | "attachments"> & { readonly parts: readonly number[] };

export function writeSignal({ text, attachments, ...head }: Signal): Buffer {
  const { body, parts } = packBody({ text, bytes: head.bytes, ...(attachments && { attachments }) });
  return Buffer.concat([Buffer.from(`s${JSON.stringify({ ...head, parts } satisfies SignalHead)}\n`), body]);
}

export function readSignal(bytes: Buffer): Signal {
  const { head, body } = split<SignalHead>(bytes);
  const { parts, ...rest } = head;
  return { ...rest, ...unpackBody(body, parts) };
}

export const writeMove = (moved: CursorsMoved): string => `m${JSON.stringify(moved)}`;
export const readMove = (bytes: Buffer): CursorsMoved => JSON.parse(bytes.toString()) as CursorsMoved;

/** What the publish script is told of a draft. */
export const headerOf = ({ userId, ttlMs, bytes, from, key, devices }: Draft, parts: readonly number[]): string =>
  JSON.stringify({
    user: userId,
    ttl: ttlMs,
    bytes,
    from,
    key: key?.key,
    digest: key?.digest,
    receipts: key?.receipts,
    devices,
    ...(parts.length > 0 && { parts }),
  });

/** One answer of the publish script. */
export function readResult(answer: RawAnswer | undefined, unknown: UsercastError): PublishResult {
  const [state, epoch, offset, at] = textsOf(answer);
  if (state === "failed" && epoch !== undefined) return failed(epoch as Parameters<typeof failed>[0]);
  if ((state !== "accepted" && state !== "duplicate") || epoch === undefined) return { state: "failed", error: unknown };
  return { state, epoch, offset: Number(offset), at: Number(at) };
}

/** The texts of a list, whether they came as bytes or out of JSON. */
export const textsOf = (answer: RawAnswer | undefined): readonly string[] =>
  Array.isArray(answer) ? answer.map((part: RawAnswer) => (part === null ? "" : String(part))) : [];

/** The epoch of a mailbox that is not there yet. `publish.lua` derives the same. */
export const epochOf = (secret: string, generation: string, userId: string): string =>
  createHash("sha1").update(`${secret}:${generation}:${userId}`).digest("hex");

/** What `position.lua` says. */
export interface StoredState {
  readonly now: number;
  readonly head: Position;
  readonly cursors: CursorSet;
  /** How many moves of cursors there were: whoever moves one must have seen the last. */
  readonly moves: string;
}

const rangesOf = (text: string | undefined): readonly OffsetRange[] => (text ? (JSON.parse(text) as OffsetRange[]) : []);

export function readState(answer: RawAnswer, secret: string, userId: string): StoredState {
  const [now, epoch, head, at, delivered, read, missed, unshown, moves = "", generation = "0", ...rows] = textsOf(answer);
  const devices: [string, DeviceCursors][] = [];
  for (let i = 0; i + 1 < rows.length; i += 2) devices.push([rows[i] ?? "", JSON.parse(rows[i + 1] ?? "") as DeviceCursors]);
  devices.sort(([, a], [, b]) => a.seenAt - b.seenAt);
  const user = { delivered: Number(delivered), read: Number(read), missed: rangesOf(missed), unshown: rangesOf(unshown) };
  return {
    now: Number(now),
    head: { epoch: epoch || epochOf(secret, generation, userId), offset: Number(head), at: Number(at) },
    cursors: new CursorSet(user, devices),
    moves: moves || "0",
  };
}
