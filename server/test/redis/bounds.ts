import { it } from "vitest";
import type { BrokerContract } from "../../src/testing/contract.ts";

const OF_THE_WHOLE_STORE = [
  "retries what was refused afresh",
  "refuses one mailbox too many, and goes on with those it has",
  "refuses messages over the bytes of the store, and drops none of another mailbox for them",
  "takes the place of what its own mailbox drops in a full store",
  "counts exactly what it holds, after drops and expiry",
  "has room again when messages have expired",
  "refuses new keys at their bound and forgets none early",
];

/** What the whole store holds is bounded by the server's own maxmemory, so the contract's tests of such limits are not defined at all. */
export const boundedByServer: Pick<BrokerContract, "it" | "gaps"> = {
  it: Object.assign((name: string, run: () => Promise<void>) => it(name, run), { skip: () => {} }),
  gaps: Object.fromEntries(OF_THE_WHOLE_STORE.map((name) => [name, "the server's maxmemory, with noeviction"])),
};
