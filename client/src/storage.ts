/** Where the SDK keeps a few short texts; the browser's `localStorage` and `sessionStorage` are such. Any call may throw. */
export interface KeyValueStorage {
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
  removeItem(key: string): void;
}

/** A storage that lives as long as the page or process. */
export function memoryStorage(): KeyValueStorage {
  const values = new Map<string, string>();
  return {
    getItem: (key) => values.get(key) ?? null,
    setItem: (key, value) => void values.set(key, value),
    removeItem: (key) => void values.delete(key),
  };
}

/**
 * The page's own storage, if it has one. Reading the property throws where site data is blocked; outside of a page it is not touched,
 * because Node warns about it.
 */
export function pageStorage(name: "localStorage" | "sessionStorage"): KeyValueStorage | undefined {
  try {
    if (typeof document === "object") return globalThis[name] ?? undefined;
  } catch {
    // Blocked: the page works without it, and begins anew after a reload.
  }
  return undefined;
}

/**
 * `storage` without its failures (a full quota, site data that is blocked). What could not be written is found missing when it is
 * read.
 */
export function lenient(storage: KeyValueStorage): KeyValueStorage {
  const tried = <T>(call: () => T, otherwise: T): T => {
    try {
      return call();
    } catch {
      return otherwise;
    }
  };
  return {
    getItem: (key) => tried(() => storage.getItem(key), null),
    setItem: (key, value) => tried(() => storage.setItem(key, value), undefined),
    removeItem: (key) => tried(() => storage.removeItem(key), undefined),
  };
}

// Which keys the clients of this page use, per storage.
const taken = new WeakMap<KeyValueStorage, Set<string>>();

/**
 * A key for this client alone: two clients of one page must not read each other's position. They are told apart by the
 * order in which they are made, which a reload repeats.
 */
export function claimKey(storage: KeyValueStorage, wanted: string): { readonly key: string; readonly release: () => void } {
  const keys = taken.get(storage) ?? new Set();
  taken.set(storage, keys);
  let key = wanted;
  for (let next = 2; keys.has(key); next += 1) key = `${wanted}#${next}`;
  keys.add(key);
  return { key, release: () => void keys.delete(key) };
}
