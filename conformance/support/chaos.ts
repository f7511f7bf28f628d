import { setTimeout as delay } from "node:timers/promises";
import type { Random } from "./random.ts";
import type { TcpProxy } from "./tcp-proxy.ts";

/** Between two pieces of mischief, and what one that has an end lasts, at most. */
const MAX_PEACE_MS = 700;
const MAX_MISCHIEF_MS = 500;

/**
 * Makes a proxy misbehave at random moments until `isOver`; then breaks what hangs, and passes everything on. What it does
 * and for how long comes from `random` alone, so that one seed makes one course of events, as far as the machine allows.
 */
export async function misbehave(proxy: TcpProxy, random: Random, isOver: () => boolean): Promise<void> {
  const forAWhile = (): Promise<void> => delay(random() * MAX_MISCHIEF_MS);
  const mischief: readonly (() => unknown)[] = [
    () => proxy.cut(),
    async () => {
      proxy.stall();
      await forAWhile();
      proxy.resume();
    },
    // A network that dies without a word: both sides hold their connections for good until it is cut.
    async () => {
      proxy.swallow();
      await forAWhile();
      proxy.cut();
    },
    () => proxy.halfClose("client"),
    () => proxy.halfClose("server"),
  ];
  while (!isOver()) {
    await delay(random() * MAX_PEACE_MS);
    await mischief[Math.floor(random() * mischief.length)]?.();
  }
  proxy.cut();
}
