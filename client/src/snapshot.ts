import { UsercastError, utf8Length } from "@usercast/protocol";

type Binary = ArrayBuffer | ArrayBufferView | Blob;

const isBinary = (value: unknown): value is Binary =>
  value instanceof ArrayBuffer || ArrayBuffer.isView(value) || (typeof Blob === "function" && value instanceof Blob);

const copyBinary = (value: Binary): ArrayBuffer | Uint8Array | Blob => {
  if (value instanceof ArrayBuffer) return value.slice(0);
  if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength).slice();
  return value; // a Blob cannot change
};

/** Data as it was when it was sent. */
export interface Snapshot {
  readonly data: unknown;
  /** Bytes of JSON and binary parts: never more than what the server counts. */
  readonly bytes: number;
}

/**
 * A copy of `data` that later changes do not reach: a retry with the same key must carry the same content. It holds what
 * JSON would, and binary parts.
 * @throws UsercastError `INVALID_DATA`
 */
export function snapshot(data: unknown): Snapshot {
  let binaryBytes = 0;
  const copy = (value: unknown): unknown => {
    if (typeof value === "function") return undefined;
    if (typeof value !== "object" || value === null) return value;
    if (isBinary(value)) {
      binaryBytes += value instanceof Blob ? value.size : value.byteLength;
      return copyBinary(value);
    }
    if ("toJSON" in value && typeof value.toJSON === "function") return copy(value.toJSON());
    if (Array.isArray(value)) return value.map(copy);
    // Object.fromEntries keeps a field called "__proto__" a field.
    return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, copy(field)]));
  };
  try {
    // What contains itself overflows the stack here; big integers fail in JSON.stringify.
    const copied = copy(data) ?? null;
    return {
      data: copied,
      bytes: utf8Length(JSON.stringify(copied, (_, value) => (isBinary(value) ? null : value))) + binaryBytes,
    };
  } catch (cause) {
    throw new UsercastError("INVALID_DATA", undefined, { cause });
  }
}
