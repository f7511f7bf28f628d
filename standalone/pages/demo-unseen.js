const MAX_CONVERSATIONS = 1_000;

/**
 * What arrived and nobody has looked at yet. A mark of what was read covers the mailbox up to an offset, whichever
 * conversation its messages belong to, so it stops before the first of these.
 */
export class Unseen {
  #epoch;
  #last = 0;
  /** By the id one talks to, in the order in which they became unseen: the first offset and the last. */
  #conversations = new Map();

  /** Up to where everything was seen. */
  get seenUpTo() {
    const [first] = this.#conversations.values();
    return first === undefined ? this.#last : first.from - 1;
  }

  arrived(id, epoch, offset) {
    if (epoch !== this.#epoch) this.clear();
    this.#epoch = epoch;
    this.#last = offset;
    const conversation = this.#conversations.get(id);
    this.#conversations.set(id, { from: conversation?.from ?? offset, to: offset });
    if (this.#conversations.size > MAX_CONVERSATIONS) this.#conversations.delete(this.#conversations.keys().next().value);
  }

  /** Somebody looks at a conversation. */
  see(id) {
    this.#conversations.delete(id);
  }

  /** Another window or device has read up to an offset. The answer is whose conversations were all read there. */
  readElsewhere(offset) {
    const ids = [...this.#conversations].flatMap(([id, { to }]) => (to <= offset ? [id] : []));
    for (const id of ids) this.see(id);
    return ids;
  }

  clear() {
    this.#last = 0;
    this.#conversations.clear();
  }
}
