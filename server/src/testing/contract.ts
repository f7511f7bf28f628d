import { cursorTests } from "./contract/cursors.ts";
import { type BrokerContract, suite } from "./contract/harness.ts";
import { keyTests } from "./contract/keys.ts";
import { lifeTests } from "./contract/life.ts";
import { limitTests } from "./contract/limits.ts";
import { listeningTests } from "./contract/listening.ts";
import { publishTests } from "./contract/publish.ts";
import { readTests } from "./contract/read.ts";

export type { BrokerContract } from "./contract/harness.ts";
export { ManualClock } from "./manual-clock.ts";

/**
 * Defines the tests every broker must pass: what `Broker` says with MUST and MUST NOT, as a caller sees it.
 *
 * The test runner comes in as a parameter and assertions are Node's own, so the suite runs under vitest, node:test, Jest
 * or Mocha, and the package depends on none of them.
 *
 * @example
 * import { describe, it } from "vitest";
 * brokerContract("mine", { describe, it, open: (limits) => openMine(limits), elapse: (ms) => clock.advance(ms) });
 */
export function brokerContract(name: string, contract: BrokerContract): void {
  contract.describe(`broker contract: ${name}`, () => {
    for (const define of [publishTests, readTests, limitTests, keyTests, cursorTests, listeningTests, lifeTests]) {
      define(suite(contract));
    }
  });
}
