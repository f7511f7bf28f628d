import { isOffset } from "@usercast/protocol";
import type { Cursors } from "../ports.ts";

/** Where everybody begins. */
export const NOWHERE: Cursors = { delivered: 0, read: 0 };

/** How far one user has come, and the user's devices. */
export class CursorSet {
  #user: Cursors;
  readonly #devices: Map<string, Cursors>;

  /** `devices` come least recently moved first. */
  constructor(user: Cursors = NOWHERE, devices: Iterable<readonly [string, Cursors]> = []) {
    this.#user = user;
    this.#devices = new Map(devices);
  }

  /** The furthest any device has come, those included that were forgotten. */
  get user(): Cursors {
    return this.#user;
  }

  /** Least recently moved first. */
  get devices(): Iterable<readonly [string, Cursors]> {
    return this.#devices;
  }

  device(name: string): Cursors | undefined {
    return this.#devices.get(name);
  }

  /**
   * Moves a device forward and forgets the least recently moved over `maxDevices`. Returns where the device is now, or
   * nothing when nothing changed. A device never seen is a change also at offset 0: it has been here and confirmed nothing.
   */
  advance(name: string, to: Partial<Cursors>, head: number, maxDevices: number): Cursors | undefined {
    const from = this.#devices.get(name);
    const cursors = forward(from ?? NOWHERE, to, head);
    if (from && cursors.delivered === from.delivered && cursors.read === from.read) return undefined;
    this.#devices.delete(name);
    this.#devices.set(name, cursors);
    for (const oldest of this.#devices.keys()) {
      if (this.#devices.size <= maxDevices) break;
      this.#devices.delete(oldest);
    }
    this.#user = forward(this.#user, cursors, head);
    return cursors;
  }
}

/** `from` moved on to `to`, never backwards and never past the head. */
function forward(from: Cursors, to: Partial<Cursors>, head: number): Cursors {
  const further = (now: number, next: number | undefined) => (isOffset(next) ? Math.max(now, Math.min(next, head)) : now);
  return { delivered: further(from.delivered, to.delivered), read: further(from.read, to.read) };
}
