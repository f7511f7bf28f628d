import { isRecord, type Position, parsePosition } from "@usercast/protocol";
import type { KeyValueStorage } from "./storage.ts";

interface Stored {
  readonly position: Position;
  /** Whose mailbox it is a place in. */
  readonly userId: string;
  /** Who the connection was thought to be before the server said so. */
  readonly hint?: string;
}

const read = (text: string | null): Stored | undefined => {
  try {
    const value: unknown = JSON.parse(text ?? "");
    if (!isRecord(value)) return undefined;
    const { userId, hint } = value;
    if (typeof userId !== "string") return undefined;
    return { position: parsePosition(value["position"]), userId, ...(typeof hint === "string" && { hint }) };
  } catch {
    return undefined; // absent, or not ours
  }
};

/**
 * The place this page has settled, kept through reloads.
 *
 * A position belongs to a user, but has to be brought before the server tells whose connection it is. Brought for
 * another user it would look like a lost mailbox, so it is brought only where nothing speaks against it, and the user is
 * compared again when the server has told.
 */
export class PositionStore {
  readonly #storage: KeyValueStorage;
  readonly #key: string;
  #stored: Stored | undefined;
  #hint: string | undefined;
  #brought = false;
  #written: string | undefined;

  constructor(storage: KeyValueStorage, key: string) {
    this.#storage = storage;
    this.#key = key;
    this.#stored = read(storage.getItem(key));
  }

  /** The stored place, whoever's it is. */
  get position(): Position | undefined {
    return this.#stored?.position;
  }

  /** The place to bring to the server, where `hint` is who we think we are, if anyone. */
  bring(hint: string | undefined): Position | undefined {
    this.#hint = hint;
    const before = this.#stored?.hint;
    this.#brought = this.#stored !== undefined && (hint === undefined || before === undefined || hint === before);
    return this.#brought ? this.position : undefined;
  }

  /**
   * The server has told whose connection it is. `other` means that the stored place was another user's, and is forgotten;
   * `misled` that the server was even brought it.
   */
  isFor(userId: string): "same" | "other" | "misled" {
    if (this.#stored === undefined || this.#stored.userId === userId) return "same";
    this.#stored = this.#written = undefined;
    this.#storage.removeItem(this.#key);
    return this.#brought ? "misled" : "other";
  }

  /** Keeps a place in the mailbox of `userId`. */
  keep(userId: string, position: Position): void {
    this.#stored = { position, userId, ...(this.#hint !== undefined && { hint: this.#hint }) };
    const text = JSON.stringify(this.#stored);
    if (text === this.#written) return;
    this.#written = text;
    this.#storage.setItem(this.#key, text);
  }
}
