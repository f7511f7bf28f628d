import type { Logger } from "./log.ts";
import type { RunningServer } from "./server.ts";

/**
 * One Ctrl-C under `npm start` arrives twice: from the terminal, and again from npm. Repetitions within this time are the
 * same wish.
 */
const SAME_WISH_MS = 1_000;

/** The part of Node's `process` that a stop needs. */
export interface StoppableProcess {
  on(signal: "SIGTERM" | "SIGINT", listener: () => void): unknown;
  exit(code: number): void;
}

/**
 * Stops the server on SIGTERM and SIGINT: exit 0 when everything is in order, 1 when that failed, took longer than
 * `timeoutMs`, or was not awaited by whoever sent a second signal.
 */
export function stopOnSignal(
  server: Pick<RunningServer, "stop">,
  timeoutMs: number,
  log: Logger,
  target: StoppableProcess = process,
): void {
  let firstAt: number | undefined;
  const giveUp = (reason: string, error?: unknown): void => {
    log.error(error === undefined ? {} : { err: error }, reason);
    target.exit(1);
  };
  const onSignal = (signal: string): void => {
    if (firstAt !== undefined) {
      if (performance.now() - firstAt > SAME_WISH_MS) giveUp(`${signal} again: stopped before everything was in order`);
      return;
    }
    firstAt = performance.now();
    log.info({ signal }, "stopping");
    setTimeout(giveUp, timeoutMs, `the stop took longer than ${timeoutMs} ms`).unref();
    server.stop().then(
      () => {
        log.info("stopped");
        target.exit(0);
      },
      (error: unknown) => giveUp("the stop failed", error),
    );
  };
  for (const signal of ["SIGTERM", "SIGINT"] as const) target.on(signal, () => onSignal(signal));
}
