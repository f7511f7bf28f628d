import type { UserKeys } from "./keys.ts";
import type { Line } from "./line.ts";
import { type Argument, evaluate } from "./scripts.ts";

/** What one call tells, at most: it holds the server up while it runs. */
const BATCH_HINTS = 256;
/** Characters or bytes of one call, beyond which it takes no more. */
const BATCH_SIZE = 1_048_576;

/** How a `Teller` works. */
export interface TellerOptions {
  readonly line: Line;
  readonly command: "PUBLISH" | "SPUBLISH";
  /** Whether only channels of one slot may share a call. */
  readonly isCluster: boolean;
  /** On their way to Redis; more are dropped, as they may be. */
  readonly maxPending: number;
}

interface Batch {
  /** Any key of the slot. */
  readonly key: string;
  readonly args: Argument[];
  size: number;
}

/**
 * Tells nodes what is not kept: signals and controls. What is told in one turn of the loop goes in as few calls as there can be; nobody learns
 * whether it arrived.
 */
export class Teller {
  readonly #options: TellerOptions;
  /** By what may share a call. */
  readonly #batches = new Map<string, Batch>();
  #isDue = false;
  #pending = 0;

  constructor(options: TellerOptions) {
    this.#options = options;
  }

  /** Tells whoever listens to a channel now. */
  tell({ bucket, mailbox, channel }: UserKeys, hint: string | Buffer): void {
    const { line, command, isCluster, maxPending } = this.#options;
    if (!line.isUp || this.#pending >= maxPending) return;
    this.#pending += 1;
    const place = isCluster ? bucket : "";
    let batch = this.#batches.get(place);
    if (batch === undefined) {
      batch = { key: mailbox, args: [command], size: 0 };
      this.#batches.set(place, batch);
    }
    batch.args.push(channel, hint);
    batch.size += hint.length;
    if (batch.args.length > 2 * BATCH_HINTS || batch.size > BATCH_SIZE) this.#send(place, batch);
    else if (!this.#isDue) {
      this.#isDue = true;
      setImmediate(() => this.#flush());
    }
  }

  #flush(): void {
    this.#isDue = false;
    for (const [place, batch] of this.#batches) this.#send(place, batch);
  }

  #send(place: string, { key, args }: Batch): void {
    this.#batches.delete(place);
    const done = (): void => {
      this.#pending -= (args.length - 1) / 2;
    };
    evaluate(this.#options.line.client, "tell", [key], args).then(done, done);
  }
}
