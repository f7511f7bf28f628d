import { setTimeout as delay } from "node:timers/promises";

/** How long a condition may take unless a test says otherwise: far above what it should, below what a test may. */
const PATIENCE_MS = 20_000;

/** Looks until `read` answers something that is neither false nor undefined, and answers that. */
export async function until<T>(
  what: string,
  read: () => T | Promise<T>,
  timeoutMs: number = PATIENCE_MS,
): Promise<Exclude<T, false | undefined>> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const value = await read();
    if (value !== false && value !== undefined) return value as Exclude<T, false | undefined>;
    if (performance.now() > deadline) throw new Error(`Waited ${timeoutMs} ms in vain: ${what}.`);
    await delay(5);
  }
}

/** `promise`, or an error that says what was waited for. */
export async function within<T>(what: string, promise: Promise<T>, timeoutMs: number = PATIENCE_MS): Promise<T> {
  const ended = new AbortController();
  const late = delay(timeoutMs, undefined, { signal: ended.signal }).then(
    () => Promise.reject(new Error(`Waited ${timeoutMs} ms in vain: ${what}.`)),
    () => new Promise<never>(() => {}),
  );
  try {
    return await Promise.race([promise, late]);
  } finally {
    ended.abort();
  }
}
