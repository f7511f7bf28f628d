/** A first-in-first-out list whose front is dropped in constant time on average; `Array.shift` moves every element. */
export class Queue<T> {
  #items: (T | undefined)[] = [];
  #head = 0;

  get size(): number {
    return this.#items.length - this.#head;
  }

  /** The item at `index`, counted from the front. */
  at(index: number): T | undefined {
    return this.#items[this.#head + index];
  }

  push(item: T): void {
    this.#items.push(item);
  }

  /** Drops the front item. */
  drop(): void {
    if (this.size === 0) return;
    this.#items[this.#head++] = undefined; // releases it before the list is next compacted
    if (this.#head >= 32 && this.#head * 2 >= this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
  }

  /** Drops every item that is not `wanted`, in one pass. */
  keep(wanted: (item: T) => boolean): void {
    this.#items = this.#items.filter((item, index) => index >= this.#head && wanted(item as T));
    this.#head = 0;
  }
}
