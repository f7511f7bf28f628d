import { setTimeout as delay } from "node:timers/promises";
import { type Addressed, send } from "./http.ts";
import type { Random } from "./random.ts";

/** Between two messages of one sender, at most. */
const MAX_PAUSE_MS = 25;
/** Between two tries of one message. */
const AGAIN_MS = 20;
/** A node that is frozen or cut off may answer nothing at all. */
const ANSWER_MS = 10_000;

/** What all senders to one user note. */
export class Ledger {
  readonly sent = new Map<string, { readonly keyed: boolean }>();
  readonly accepted = new Map<string, number>();
  /** How often each code was answered. */
  readonly refused = new Map<string, number>();
  readonly #user: string;
  readonly #nodes: readonly Addressed[];
  readonly #tolerated: readonly string[];

  /**
   * @param tolerated the codes that may be answered: anything else is a fault
   */
  constructor(user: string, nodes: readonly Addressed[], tolerated: readonly string[]) {
    this.#user = user;
    this.#nodes = nodes;
    this.#tolerated = tolerated;
  }

  /** Sends numbered messages until `isOver`: with a key and until they are accepted, or without one and only once. */
  async keepSending(name: string, random: Random, isOver: () => boolean): Promise<void> {
    for (let i = 1; !isOver(); i++) {
      await this.sendOne(`${name} ${i}`, { keyed: i % 3 !== 0, first: Math.floor(random() * this.#nodes.length) });
      await delay(random() * MAX_PAUSE_MS);
    }
  }

  /** Sends to one node after the other, where the first one gives no answer or is not able to. */
  async sendOne(data: string, { keyed, first = 0 }: { readonly keyed: boolean; readonly first?: number }): Promise<void> {
    this.sent.set(data, { keyed });
    for (let tries = 0; ; tries++) {
      const node = this.#nodes[(first + tries) % this.#nodes.length] as Addressed;
      const sending = send(node, this.#user, data, keyed ? { key: data } : {});
      const abandoned = delay(ANSWER_MS, undefined, { ref: false });
      const answer = await Promise.race([sending.catch(() => undefined), abandoned]);
      if (answer?.offset !== undefined) {
        this.accepted.set(data, answer.offset);
        return;
      }
      if (answer !== undefined) this.#note(answer.error?.code ?? String(answer.status));
      if (!keyed) return;
      await delay(AGAIN_MS);
    }
  }

  #note(code: string): void {
    if (!this.#tolerated.includes(code)) throw new Error(`A node answered ${code}.`);
    this.refused.set(code, (this.refused.get(code) ?? 0) + 1);
  }
}
