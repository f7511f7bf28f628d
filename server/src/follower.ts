import type { CursorsMoved, MailboxListener, ReceiptGrant } from "./ports.ts";
import { delivers, type Passage, type Place, type Progress, shows } from "./progress.ts";

/** A message whose fate somebody wants to know. */
export interface Followed extends Place {
  readonly recipient: string;
  /** Who wants to know it: the same once more changes nothing. */
  readonly follower?: string;
  /** The last thing of interest. */
  readonly until: ReceiptGrant;
  /** Told of each thing once, in order. */
  readonly onPassage: (state: ReceiptGrant, passage: Passage) => void;
  /** Told when nothing more can be known, and why. */
  readonly onEnd?: (error: unknown) => void;
}

interface Pending {
  readonly followed: Followed;
  /** Somebody has read it before anybody confirmed it. */
  read?: Passage;
}

/** Those of a list in order of offset that lie up to `through` and are `wanted`; they are taken out. */
function take(list: Pending[], through: number, wanted: (pending: Pending) => boolean): readonly Pending[] {
  const taken: Pending[] = [];
  const left: Pending[] = [];
  for (const pending of list) {
    if (pending.followed.offset > through) break;
    (wanted(pending) ? taken : left).push(pending);
  }
  if (taken.length > 0) list.splice(0, taken.length + left.length, ...left);
  return taken;
}

/** How many of a list in order of offset lie up to `offset`. Looked for from the end, where the newest are. */
function countThrough(list: readonly Pending[], offset: number): number {
  let count = list.length;
  while (count > 0 && (list[count - 1]?.followed.offset ?? 0) > offset) count -= 1;
  return count;
}

/** Whether the same follower's message is there already. */
function holds(list: readonly Pending[], { offset, follower }: Followed): boolean {
  if (follower === undefined) return false;
  for (let place = countThrough(list, offset) - 1; list[place]?.followed.offset === offset; place -= 1) {
    if (list[place]?.followed.follower === follower) return true;
  }
  return false;
}

const insert = (list: Pending[], pending: Pending): void => {
  list.splice(countThrough(list, pending.followed.offset), 0, pending);
};

/**
 * Follows one recipient's cursors for those who sent to them. A move costs a step per message that is followed and that it may
 * concern, and nothing for those of others.
 */
export class Follower implements MailboxListener {
  /** Cursors may have moved unheard, or the mailbox has begun a new life. */
  readonly interrupted: () => void;
  readonly #undelivered: Pending[] = [];
  /** Delivered, and followed until they are read. */
  readonly #unread: Pending[] = [];
  readonly #onGone: (gone: readonly Followed[]) => void;

  constructor(listener: { readonly onGone: (gone: readonly Followed[]) => void; readonly onInterrupted: () => void }) {
    this.#onGone = listener.onGone;
    this.interrupted = listener.onInterrupted;
  }

  /** Controls are about connections, of which there are none here. */
  control(): void {}

  get isEmpty(): boolean {
    return this.#undelivered.length + this.#unread.length === 0;
  }

  /** Whether it is followed anew. */
  add(followed: Followed): boolean {
    if (holds(this.#undelivered, followed) || holds(this.#unread, followed)) return false;
    insert(this.#undelivered, { followed });
    return true;
  }

  /** The offsets of what is followed for some devices only. */
  get filtered(): readonly number[] {
    return [...this.#undelivered, ...this.#unread]
      .filter(({ followed }) => followed.devices)
      .map(({ followed }) => followed.offset);
  }

  /** Lets go of those that are `unwanted`, and tells nobody. */
  drop(unwanted: (followed: Followed) => boolean): readonly Followed[] {
    const isUnwanted = ({ followed }: Pending): boolean => unwanted(followed);
    const all = Number.POSITIVE_INFINITY;
    const gone = [...take(this.#undelivered, all, isUnwanted), ...take(this.#unread, all, isUnwanted)];
    return this.#letGo(gone);
  }

  cursors(moved: CursorsMoved): void {
    const passage = { device: moved.device, at: moved.at };
    const shown = moved.unshown ? 0 : moved.to.read;
    for (const pending of this.#undelivered) {
      if (pending.followed.offset > shown) break;
      if (shows(moved, pending.followed)) pending.read ??= passage;
    }
    const read = take(this.#unread, shown, ({ followed }) => shows(moved, followed));
    for (const { followed } of read) followed.onPassage("read", passage);
    this.#letGo(read);
    const delivered = take(this.#undelivered, moved.to.delivered, ({ followed }) => delivers(moved, followed));
    this.#letGo(delivered.filter((pending) => this.#isOver(pending, passage)));
  }

  /** Tells what can be told from where the mailbox stands. */
  look(progress: (place: Place) => Progress): void {
    const all = Number.POSITIVE_INFINITY;
    const read = take(this.#unread, all, ({ followed }) => progress(followed).read !== undefined);
    for (const { followed } of read) followed.onPassage("read", progress(followed).read ?? { at: 0 });
    this.#letGo(read);
    const delivered = take(this.#undelivered, all, ({ followed }) => progress(followed).delivered !== undefined);
    const over = delivered.filter((pending) => {
      const { delivered, read } = progress(pending.followed);
      if (read !== undefined) pending.read ??= read;
      return this.#isOver(pending, delivered ?? { at: 0 });
    });
    this.#letGo(over);
  }

  entry(): void {}
  signal(): void {}

  /** Tells that it is delivered; whether nothing more is to come. */
  #isOver(pending: Pending, passage: Passage): boolean {
    const { followed, read } = pending;
    followed.onPassage("delivered", passage);
    if (followed.until === "delivered") return true;
    if (read === undefined) insert(this.#unread, pending);
    else followed.onPassage("read", read);
    return read !== undefined;
  }

  #letGo(pending: readonly Pending[]): readonly Followed[] {
    const gone = pending.map(({ followed }) => followed);
    if (gone.length > 0) this.#onGone(gone);
    return gone;
  }
}
