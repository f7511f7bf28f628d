import type { Draft } from "../../src/ports.ts";
import type { Node, Run } from "./node.ts";
import type { Filter } from "./record.ts";

interface Sending {
  draft: Draft;
  readonly n: number;
  node: Node | undefined;
  state: "under way" | "to be tried again" | "over";
}

/**
 * The back end, which sends until it is answered: again with the same draft where an answer was lost, and where the node was
 * killed with the same key, if the message has one. Without one it cannot know, and leaves it at that.
 */
export class Sender {
  readonly #run: Run;
  readonly #node: () => Node;
  readonly #sendings: Sending[] = [];
  /** Keys that were used for other content too: where that came first, what they were meant for is refused. */
  readonly #misused = new Set<string>();

  constructor(run: Run, node: () => Node) {
    this.#run = run;
    this.#node = node;
  }

  get isWaiting(): boolean {
    return this.#sendings.some(({ state }) => state !== "over");
  }

  publish(userId: string, n: number, devices?: Filter, isKeyed = false): void {
    const key = isKeyed ? { key: { key: `key-${n}`, digest: String(n) } } : {};
    const draft: Draft = { id: `draft-${n}`, userId, ...this.#run.content(n), ...key, ...(devices && { devices }) };
    const sending: Sending = { draft, n, node: undefined, state: "to be tried again" };
    this.#sendings.push(sending);
    this.#try(sending);
  }

  /** Something that was sent with a key is sent again, by whoever has not heard: as it was, or with other content. */
  resend(much: number): void {
    const keyed = this.#sendings.filter(({ draft }) => draft.key !== undefined);
    const sending = keyed[keyed.length - 1 - (much % (keyed.length || 1))];
    if (sending?.draft.key === undefined) return;
    const { draft } = sending;
    const id = `again-${this.#run.step()}`;
    if (much % 2 === 0) this.#try({ ...sending, draft: { ...draft, id } });
    else {
      this.#misused.add(sending.draft.key.key);
      this.#misuse({ ...draft, id, key: { ...sending.draft.key, digest: id } });
    }
  }

  /** What was not answered is tried again. */
  retry(): void {
    for (const sending of this.#sendings) if (sending.state === "to be tried again") this.#try(sending);
  }

  /** A node was killed: what was under way there has to be sent anew. */
  crashed(): void {
    for (const sending of this.#sendings) {
      if (sending.state !== "under way" || sending.node?.isDead !== true) continue;
      sending.state = sending.draft.key === undefined ? "over" : "to be tried again";
      sending.draft = { ...sending.draft, id: `${sending.draft.id}'` };
    }
  }

  #try(sending: Sending): void {
    const { record, step, wrong } = this.#run;
    const { n, draft } = sending;
    const node = this.#node();
    sending.node = node;
    sending.state = "under way";
    node.broker.publish([draft]).then(
      ([result]) => {
        if (node.isDead) return; // with whoever waited there
        sending.state = "over";
        if (result === undefined || result.state === "failed") {
          if (!this.#misused.has(draft.key?.key ?? "")) wrong(`message ${n} was refused: ${result?.error.code}`);
        } else {
          const { state, epoch, offset } = result;
          node.follow({ n, user: draft.userId, epoch, offset }, draft.devices);
          record.answered.push({ n, user: draft.userId, state, epoch, offset, step: step() });
        }
      },
      () => {
        if (!node.isDead) sending.state = "to be tried again";
      },
    );
  }

  /** A key with other content must be refused. */
  #misuse(draft: Draft): void {
    const { record, wrong, step } = this.#run;
    const askedAt = step();
    this.#node()
      .broker.publish([draft])
      .then(
        ([result]) => {
          // Where its first use was purged or lost, the key is a new one.
          const isKnown = record.accepted.some(
            ({ key, user, step: at, endedAt }) =>
              key === draft.key?.key && user === draft.userId && at < askedAt && endedAt > step(),
          );
          if (isKnown && result?.state !== "failed") wrong(`the key ${draft.key?.key} was taken for other content`);
        },
        () => {},
      );
  }
}
