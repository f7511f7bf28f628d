/** Where a message was pushed to. */
export interface Recipient {
  readonly userId: string;
  readonly device: string;
  readonly socketId: string;
}

/** One push of a message to a connection. */
export interface Push {
  readonly device: string;
  readonly socketId: string;
  /** Milliseconds since 1970. */
  readonly at: number;
}

/**
 * The latest pushes of this node, for those who ask what became of a message: a ring that is written to without making
 * anything, because it is written to for every delivery. Whoever asks looks through all of it.
 */
export class PushLog {
  readonly #recipients: (Recipient | undefined)[];
  readonly #offsets: Float64Array;
  readonly #times: Float64Array;
  #next = 0;

  /** Remembers `capacity` pushes. */
  constructor(capacity: number) {
    this.#recipients = new Array<Recipient | undefined>(capacity).fill(undefined);
    this.#offsets = new Float64Array(capacity);
    this.#times = new Float64Array(capacity);
  }

  note(recipient: Recipient, offset: number, at: number): void {
    const place = this.#next;
    this.#recipients[place] = recipient;
    this.#offsets[place] = offset;
    this.#times[place] = at;
    this.#next = place + 1 === this.#recipients.length ? 0 : place + 1;
  }

  /** The pushes of one message that are remembered, oldest first. Those of an earlier life of the mailbox are among them. */
  of(userId: string, offset: number): readonly Push[] {
    const found: Push[] = [];
    const size = this.#recipients.length;
    for (let step = 0; step < size; step++) {
      const place = (this.#next + step) % size;
      const recipient = this.#recipients[place];
      if (recipient?.userId !== userId || this.#offsets[place] !== offset) continue;
      found.push({ device: recipient.device, socketId: recipient.socketId, at: this.#times[place] ?? 0 });
    }
    return found;
  }
}
