/** How far a user has read, as one connection knows it and as its client was told. */
export class ReadMark {
  #epoch = "";
  #read = 0;
  #told = 0;

  /** Heard of before the connection's start is known, or after. */
  heard(epoch: string, offset: number): void {
    if (epoch !== this.#epoch) this.#read = 0;
    this.#epoch = epoch;
    this.#read = Math.max(this.#read, offset);
  }

  /** The connection begins in a life of the mailbox; returns what its client is told with that. */
  begin(epoch: string, offset: number): number {
    this.heard(epoch, offset);
    this.#told = this.#read;
    return this.#told;
  }

  /** Whether the client is to be told. */
  get isDue(): boolean {
    return this.#read > this.#told;
  }

  /** What the client is told now. */
  tell(): number {
    this.#told = this.#read;
    return this.#told;
  }
}
