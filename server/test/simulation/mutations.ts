import type { FamilyName } from "./families.ts";

/** A deliberate fault of the server. */
export interface Mutation {
  /** What it breaks. */
  readonly fault: string;
  /** In the server's `src`. */
  readonly file: string;
  /** Occurs in the file exactly once. */
  readonly text: string;
  readonly replacement: string;
  /** The runs that find it. */
  readonly family: FamilyName;
}

/** Faults that the simulation has to find, or it proves nothing. */
export const MUTATIONS: readonly Mutation[] = [
  {
    fault: "an entry is pushed that is not the next one",
    file: "connection.ts",
    text: "entry.offset === this.#sent + 1 && ",
    replacement: "",
    family: "hints",
  },
  {
    fault: "an entry that is accepted during a read is forgotten",
    file: "connection.ts",
    text: "    this.#known = Math.max(this.#known, entry.offset);\n",
    replacement: "",
    family: "breaks",
  },
  {
    fault: "a congested connection is never looked at again",
    file: "connection.ts",
    text: '    if (this.#state === "catching-up" && this.#link.congested) this.#link.awaitRoom();\n',
    replacement: "",
    family: "breaks",
  },
  {
    fault: "the window is not counted",
    file: "connection.ts",
    text: "    this.#window.push(entry.offset, entry.bytes);\n",
    replacement: "",
    family: "breaks",
  },
  {
    fault: "what is accepted now is pushed into a full window",
    file: "connection.ts",
    text: "else if (this.#hasRoomFor(entry.bytes)) this.#push(entry);",
    replacement: "else if (!this.#link.congested) this.#push(entry);",
    family: "breaks",
  },
  {
    fault: "a position that a client brings counts as confirmed",
    file: "connection.ts",
    text: "this.info.claim === undefined ? offset : Math.min(offset, (known ?? state.user).delivered);",
    replacement: "offset;",
    family: "rewinds",
  },
  {
    fault: "what a broken plain connection is owed is forgotten",
    file: "hub.ts",
    text: '    this.#turns = [...this.#turns, { type: "ended", number: this.#count(), at: confirmed }];\n',
    replacement: "",
    family: "breaks",
  },
  {
    fault: "the cursor of plain connections passes what a living one has not confirmed",
    file: "hub.ts",
    text: "floor = Math.min(floor ?? confirmed, confirmed);",
    replacement: "floor = Math.max(floor ?? confirmed, confirmed);",
    family: "breaks",
  },
  {
    fault: "the cursor of plain connections passes what one at another node has not confirmed",
    file: "sharing.ts",
    text: "  [...floors, ...debts].reduce(",
    replacement: "  debts.reduce(",
    family: "moves",
  },
  {
    fault: "a plain connection is pushed to before other nodes know where it begins",
    file: "delivery.ts",
    text: '    if (this.#options.broker.scope === "cluster") await this.#cursors.flush(userId);\n',
    replacement: "",
    family: "moves",
  },
  {
    fault: "what the plain connections of a node that is killed are owed is given up at once",
    file: "broker/shared.ts",
    text: "one.until ?? now + heldMs",
    replacement: "now",
    family: "nodes",
  },
  {
    fault: "a client may confirm what it was never sent",
    file: "connection.ts",
    text: " || offset > this.#sent",
    replacement: "",
    family: "breaks",
  },
  {
    fault: "who comes back to another life of the mailbox is not told",
    file: "connection.ts",
    text: "      if (start.missed !== undefined) this.#tellMissed(start.missed);\n",
    replacement: "",
    family: "rewinds",
  },
  {
    fault: "what has expired is passed in silence",
    file: "connection.ts",
    text: "      if (!isPast) this.#tellMissed(missed);\n",
    replacement: "",
    family: "losses",
  },
  {
    fault: "what has expired since it was read is pushed",
    file: "connection.ts",
    text: "entry.offset <= this.#sent || entry.expiresAt <= now",
    replacement: "entry.offset <= this.#sent",
    family: "losses",
  },
  {
    fault: "the position is read before the subscription is there",
    file: "delivery.ts",
    text: "      const [mayStay] = await Promise.all([this.#attach(connection), this.#subscribe(group)]);\n      if (!mayStay) return;\n      await this.#cursors.flush(userId);\n      await connection.join(connection.plain ? (...where) => this.#enter(connection, group, ...where) : undefined);\n",
    replacement:
      "      if (!(await this.#attach(connection))) return;\n      await this.#cursors.flush(userId);\n      await connection.join(connection.plain ? (...where) => this.#enter(connection, group, ...where) : undefined);\n      await this.#subscribe(group);\n",
    family: "breaks",
  },
  {
    fault: "a hint of another life of the mailbox counts",
    file: "connection.ts",
    text: "this.#hint?.epoch === state.epoch ? this.#hint.offset : 0",
    replacement: "this.#hint?.offset ?? 0",
    family: "purges",
  },
  {
    fault: "an idempotency key is not remembered",
    file: "broker/memory.ts",
    text: "this.#keys.add(draft, draft.key, head, now)",
    replacement: "{}",
    family: "crashes",
  },
  {
    fault: "messages for some devices come to all",
    file: "resume.ts",
    text: '  return "only" in devices ? devices.only === device : devices.except !== device;',
    replacement: "  return true;",
    family: "devices",
  },
  {
    fault: "who comes back is not preceded by what the device has confirmed",
    file: "delivery.ts",
    text: "      await this.#cursors.flush(userId);\n",
    replacement: "",
    family: "breaks",
  },
  {
    fault: "an interruption is not heard while everything is live",
    file: "connection.ts",
    text: '    if (this.#state === "live") this.#enter("catching-up");\n',
    replacement: "",
    family: "hints",
  },
  {
    fault: "a message does not say what it comes after",
    file: "connection.ts",
    text: "this.#given === entry.offset - 1 ? undefined : this.#given;",
    replacement: "undefined;",
    family: "devices",
  },
  {
    fault: "a connection that could not be made to begin stays as it is",
    file: "delivery.ts",
    text: '      connection.close("UNAVAILABLE", true);\n',
    replacement: "",
    family: "failures",
  },
  {
    fault: "a log that was rewound and has grown to the same place is taken for the same",
    file: "resume.ts",
    text: "return claim.at !== head.at;",
    replacement: "return false;",
    family: "rewinds",
  },
  {
    fault: "a heartbeat confirms what was written after it was asked for",
    file: "link.ts",
    text: "this.#listener?.onHeartbeat(first.mark);",
    replacement: "this.#listener?.onHeartbeat(this.#listener.mark());",
    family: "breaks",
  },
  {
    fault: "a closed connection leaves a listener",
    file: "link.ts",
    text: "    this.#stopAwaiting?.();\n",
    replacement: "",
    family: "breaks",
  },
  {
    fault: "a subscription outlives the user's last connection",
    file: "delivery.ts",
    text: "      this.#unsubscribe(group);\n",
    replacement: "",
    family: "breaks",
  },
];
