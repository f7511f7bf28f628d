import { parseDeviceId } from "@usercast/protocol";
import type { KeyValueStorage } from "./storage.ts";

/** A random id that fits everywhere one is needed. Pages without TLS and some runtimes have no `randomUUID`; ids are unique, not secret. */
export function randomId(): string {
  const source: Partial<Crypto> | undefined = globalThis.crypto;
  const digit = (): string => Math.floor(Math.random() * 16).toString(16);
  return source?.randomUUID?.() ?? Array.from({ length: 32 }, digit).join("");
}

const readId = (storage: KeyValueStorage, key: string): string | undefined => {
  try {
    return parseDeviceId(storage.getItem(key));
  } catch {
    return undefined;
  }
};

const DEVICE_KEY = "usercast:device";

/** An installation, by its id. */
export interface Device {
  readonly id: string;
  /** Whether the id could not be kept, so that the next page will be another device. */
  readonly transient: boolean;
}

/** This installation: the stored id, else a new one, which is then stored where there is a storage. */
export function deviceIn(local: KeyValueStorage | undefined): Device {
  const id = (local && readId(local, DEVICE_KEY)) ?? randomId();
  local?.setItem(DEVICE_KEY, id);
  return { id, transient: local?.getItem(DEVICE_KEY) !== id };
}

/**
 * The id of this page, which survives a reload.
 *
 * Browsers copy `sessionStorage` into a duplicated tab and into windows a page opens, so the id of a living page must not
 * be found there: it is taken out while the page lives, and put back when the page goes. The copy finds none and makes its
 * own. Neither the kind of navigation nor a lock would do: browsers disagree on the first, the second needs TLS.
 */
export class Session {
  readonly id: string;
  readonly #storage: KeyValueStorage;
  readonly #key: string;

  constructor(storage: KeyValueStorage, key: string) {
    this.#storage = storage;
    this.#key = key;
    this.id = readId(storage, key) ?? randomId();
    this.takeOut();
  }

  /** The page lives, perhaps again. */
  takeOut(): void {
    this.#storage.removeItem(this.#key);
  }

  /** The page goes, perhaps to come back. */
  putBack(): void {
    this.#storage.setItem(this.#key, this.id);
  }
}
