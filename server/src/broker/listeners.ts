import type { Control, ControlTarget, CursorsMoved, Entry, MailboxListener, Signal, Unsubscribe } from "../ports.ts";
import type { Renewed } from "./epoch.ts";

const nothing = (): void => {};
const SILENT: MailboxListener = { entry: nothing, signal: nothing, cursors: nothing, interrupted: nothing, control: nothing };

interface Subscription {
  listener: MailboxListener;
}

/** Where a target is heard: nodes have ids that no user can have. */
export const placeOf = (target: ControlTarget): string => ("node" in target ? `\0${target.node}` : target.userId);

/** A node as a listener among those of users. */
export const nodeListener = (control: (control: Control) => void): MailboxListener => ({ ...SILENT, control });

type Call = (listener: MailboxListener) => void;

/**
 * The listeners of every user. What happens is told in the order in which it happened, also when a listener causes the
 * next thing while it is being told of this one: then everybody hears of this one first.
 */
export class Listeners {
  readonly #report: (error: unknown) => void;
  /** Replaced as a whole, so that one listener, as nearly every user has, costs little. */
  readonly #byUser = new Map<string, readonly Subscription[]>();
  readonly #calls: { readonly userId: string; readonly call: Call }[] = [];
  #telling = false;

  /** `report` hears of a listener that threw; the others are told all the same. */
  constructor(report: (error: unknown) => void) {
    this.#report = report;
  }

  /** Adds a listener until the returned function is called. */
  add(userId: string, listener: MailboxListener): Unsubscribe {
    const subscription: Subscription = { listener };
    this.#byUser.set(userId, [...(this.#byUser.get(userId) ?? []), subscription]);
    return async () => {
      // Also who is being told of something just now, and has not come to it, is not to.
      subscription.listener = SILENT;
      const others = (this.#byUser.get(userId) ?? []).filter((one) => one !== subscription);
      if (others.length > 0) this.#byUser.set(userId, others);
      else this.#byUser.delete(userId);
    };
  }

  /** Tells all listeners of a user, after everything that is being told. */
  tell(userId: string, call: Call): void {
    if (!this.#byUser.has(userId)) return;
    this.#calls.push({ userId, call });
    if (!this.#telling) this.#tellWaiting();
  }

  /** Tells of an entry, as `tell` does; without anything made for it where nothing else is being told. */
  tellEntry(userId: string, entry: Entry, epoch: string): void {
    if (this.#telling) {
      this.#calls.push({ userId, call: (listener) => listener.entry(entry, epoch) });
      return;
    }
    const subscriptions = this.#byUser.get(userId);
    if (subscriptions === undefined) return;
    this.#telling = true;
    for (const { listener } of subscriptions) {
      try {
        listener.entry(entry, epoch);
      } catch (error) {
        this.#report(error);
      }
    }
    this.#telling = false;
    this.#tellWaiting();
  }

  /** Tells of a signal, in the same way. */
  tellSignal(userId: string, signal: Signal): void {
    if (this.#telling) {
      this.#calls.push({ userId, call: (listener) => listener.signal(signal) });
      return;
    }
    const subscriptions = this.#byUser.get(userId);
    if (subscriptions === undefined) return;
    this.#telling = true;
    for (const { listener } of subscriptions) {
      try {
        listener.signal(signal);
      } catch (error) {
        this.#report(error);
      }
    }
    this.#telling = false;
    this.#tellWaiting();
  }

  /** Adds a node until the returned function is called. */
  addNode(node: string, listener: (control: Control) => void): Unsubscribe {
    return this.add(placeOf({ node }), nodeListener(listener));
  }

  /** Tells the nodes of a user, or one node. */
  tellControl(target: ControlTarget, control: Control): void {
    this.tell(placeOf(target), (listener) => listener.control(control));
  }

  /** Tells of a device's cursors, where they have moved at all. */
  tellCursors(userId: string, moved: CursorsMoved): void {
    const { from, to } = moved;
    if (to.delivered > from.delivered || to.read > from.read) this.tell(userId, (listener) => listener.cursors(moved));
  }

  /** Tells those whose mailbox began a new life, now that `userId` was purged. */
  interrupt(renewed: Renewed, userId: string): void {
    const users = { nobody: [], one: [userId], all: [...this.#byUser.keys()] }[renewed];
    for (const changed of users) this.tell(changed, (listener) => listener.interrupted());
  }

  /** Forgets everybody. */
  clear(): void {
    this.#byUser.clear();
  }

  #tellWaiting(): void {
    if (this.#calls.length === 0) return;
    this.#telling = true;
    for (const next of this.#calls) this.#tellAll(next.userId, next.call);
    this.#calls.length = 0;
    this.#telling = false;
  }

  #tellAll(userId: string, call: Call): void {
    for (const { listener } of this.#byUser.get(userId) ?? []) {
      try {
        call(listener);
      } catch (error) {
        this.#report(error);
      }
    }
  }
}
