interface Registration<Listener> {
  readonly listener: Listener;
  readonly once: boolean;
}

/** Who listens to which event. Calls nobody itself, so that its owner decides about order, arguments and failures. */
export class Listeners<Listener> {
  /** The arrays are replaced, never changed, so that whoever goes through one is not disturbed. */
  readonly #byEvent = new Map<string, readonly Registration<Listener>[]>();

  /** Adds a listener; the answer removes exactly this one. */
  add(event: string, listener: Listener, once = false): () => void {
    const added: Registration<Listener> = { listener, once };
    this.#byEvent.set(event, [...(this.#byEvent.get(event) ?? []), added]);
    return () => this.#keep(event, (registration) => registration !== added);
  }

  /** Removes one listener of an event, all of an event, or all. */
  remove(event?: string, listener?: Listener): void {
    if (event === undefined) this.#byEvent.clear();
    else this.#keep(event, (registration) => listener !== undefined && registration.listener !== listener);
  }

  has(event: string): boolean {
    return this.#byEvent.has(event);
  }

  /** The listeners to call now; those added with `once` are removed by this. */
  take(event: string): readonly Listener[] {
    const registrations = this.#byEvent.get(event) ?? [];
    if (registrations.some(({ once }) => once)) this.#keep(event, ({ once }) => !once);
    return registrations.map(({ listener }) => listener);
  }

  #keep(event: string, wanted: (registration: Registration<Listener>) => boolean): void {
    const kept = (this.#byEvent.get(event) ?? []).filter(wanted);
    if (kept.length > 0) this.#byEvent.set(event, kept);
    else this.#byEvent.delete(event);
  }
}
