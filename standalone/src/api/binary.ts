/** Data as JSON can hold it, and where in it binary parts were. */
export interface JsonData {
  readonly data: unknown;
  /** JSON Pointers to the `{ "base64": … }` that stand for binary parts; absent where there are none. */
  readonly binary?: string[];
}

/**
 * `data`, which is the caller's to change, with each binary part as `{ "base64": "…" }`. An object of the sender's may look
 * the same, so the places of those that were bytes are told beside it.
 */
export function toJsonData(data: unknown): JsonData {
  const binary: string[] = [];
  const root: Record<string, unknown> = { data };
  // Not by recursion: how deeply data is nested was decided by whoever sent it.
  const waiting: { readonly parent: object; readonly key: string; readonly pointer: string }[] = [
    { parent: root, key: "data", pointer: "" },
  ];
  for (let place = waiting.pop(); place !== undefined; place = waiting.pop()) {
    const value: unknown = Reflect.get(place.parent, place.key);
    if (typeof value !== "object" || value === null) continue;
    if (value instanceof Uint8Array) {
      const base64 = Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("base64");
      // An assignment to a field named __proto__ would set something else.
      Object.defineProperty(place.parent, place.key, { value: { base64 }, enumerable: true });
      binary.push(place.pointer);
      continue;
    }
    // The last one first on the stack, so that places come in the order of the text.
    for (const key of Object.keys(value).reverse())
      waiting.push({ parent: value, key, pointer: `${place.pointer}/${escaped(key)}` });
  }
  return binary.length === 0 ? { data: root["data"] ?? null } : { data: root["data"], binary };
}

/** A name as a JSON Pointer writes it. */
const escaped = (name: string): string => name.replaceAll("~", "~0").replaceAll("/", "~1");
