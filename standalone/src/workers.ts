import cluster, { type Worker } from "node:cluster";
import { StartError } from "./listen.ts";
import type { Logger } from "./log.ts";
import { Restarts } from "./restarts.ts";
import type { RunningServer } from "./server.ts";

/** What a worker tells the process that started it, once. */
export type WorkerReport =
  | { readonly state: "listening"; readonly port: number }
  /** It could not start; `isTemporary` where that may be better soon. */
  | { readonly state: "failed"; readonly message: string; readonly isTemporary: boolean };

/** How `startWorkers` works. */
export interface WorkersOptions {
  readonly count: number;
  readonly log: Logger;
  /** A worker died again and again: the rest is stopped, and then this is called. */
  readonly onGivenUp: () => void;
}

/** Between two tries to start a worker that the store was away for. */
const AWAY_MS = 1_000;

/** The worker this process is; `undefined` where it is none. */
export const ownWorker = (): Worker | undefined => cluster.worker;

/** Tells the process that started this worker; resolves when it has been told. */
export function report(message: WorkerReport): Promise<void> {
  return new Promise((resolve) => {
    if (process.send === undefined) resolve();
    else process.send(message, () => resolve());
  });
}

/**
 * Starts this program `count` times behind one port. A worker that dies is started again.
 * @throws StartError with what the first worker that failed said
 */
export async function startWorkers(options: WorkersOptions): Promise<RunningServer> {
  const workers = new Workers(options);
  return { port: await workers.start(), stop: () => workers.stop() };
}

/** One of the processes, and how it ends. */
interface Running {
  readonly worker: Worker;
  /** What it said of its start. */
  readonly started: Promise<WorkerReport>;
  /** Resolves with whether it ended in order. */
  readonly ended: Promise<boolean>;
}

class Workers {
  readonly #options: WorkersOptions;
  /** Every process there is, and those of them that serve. */
  readonly #running = new Set<Running>();
  readonly #serving = new Set<Running>();
  readonly #timers = new Set<NodeJS.Timeout>();
  #stopping: Promise<void> | undefined;

  constructor(options: WorkersOptions) {
    this.#options = options;
    // Whatever ends this process: a worker that hangs would not notice that it is alone.
    process.once("exit", () => {
      for (const { worker } of this.#running) worker.process.kill("SIGKILL");
    });
  }

  /** The first one alone: what is wrong with a setting is wrong for all of them, and is to be said once. */
  async start(): Promise<number> {
    try {
      const port = await this.#first();
      await Promise.all(Array.from({ length: this.#options.count - 1 }, () => this.#first()));
      return port;
    } catch (error) {
      await this.stop().catch(() => {});
      throw error;
    }
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    for (const timer of this.#timers) clearTimeout(timer);
    const running = [...this.#running];
    for (const { worker } of running) worker.process.kill("SIGTERM");
    const inOrder = await Promise.all(running.map(({ ended }) => ended));
    if (inOrder.includes(false)) throw new Error("a worker did not end in order");
  }

  /** The first worker of a place. */
  async #first(): Promise<number> {
    const running = this.#fork();
    const said = await running.started;
    if (said.state === "failed") throw new StartError(said.message);
    this.#serve(running, new Restarts());
    return said.port;
  }

  #fork(): Running {
    const worker = cluster.fork();
    let isListening = false;
    const ended = new Promise<boolean>((resolve) => {
      worker.once("exit", (code, signal) => {
        this.#running.delete(running);
        this.#serving.delete(running);
        // One that had not begun is ended by the signal itself.
        resolve(code === 0 || (!isListening && signal === "SIGTERM"));
      });
    });
    const started = new Promise<WorkerReport>((resolve) => {
      worker.once("message", (message: WorkerReport) => {
        isListening = message.state === "listening";
        resolve(message);
      });
      worker.once("exit", (code, signal) =>
        resolve({ state: "failed", message: `a worker ended at its start (${signal ?? `code ${code}`})`, isTemporary: false }),
      );
    });
    const running = { worker, started, ended };
    this.#running.add(running);
    return running;
  }

  /** Watches over a worker that serves, and everyone who takes its place. */
  #serve(running: Running, restarts: Restarts): void {
    if (running.worker.isDead()) this.#onDeath(running, restarts);
    else {
      this.#serving.add(running);
      running.worker.once("exit", () => this.#onDeath(running, restarts));
    }
  }

  #onDeath({ worker }: Running, restarts: Restarts, message?: string): void {
    if (this.#stopping !== undefined) return;
    const { exitCode, signalCode } = worker.process;
    const delayMs = restarts.died(performance.now());
    const died = { worker: worker.id, code: exitCode, signal: signalCode, message };
    if (delayMs === undefined) {
      this.#giveUp(died);
      return;
    }
    this.#options.log.error({ ...died, againInMs: delayMs }, "a worker died");
    this.#forkIn(delayMs, restarts);
  }

  #forkIn(delayMs: number, restarts: Restarts): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      void this.#forkAgain(restarts);
    }, delayMs);
    this.#timers.add(timer);
  }

  async #forkAgain(restarts: Restarts): Promise<void> {
    const running = this.#fork();
    const said = await running.started;
    if (this.#stopping !== undefined) return;
    if (said.state === "listening") {
      this.#options.log.warn({ worker: running.worker.id }, "a worker took the place of one that died");
      this.#serve(running, restarts);
      return;
    }
    await running.ended;
    // As long as others serve, whose connections stay while the store is away, there is no reason to end them.
    if (said.isTemporary && this.#serving.size > 0) this.#forkIn(AWAY_MS, restarts);
    else this.#onDeath(running, restarts, said.message);
  }

  #giveUp(died: object): void {
    const { log, onGivenUp } = this.#options;
    log.fatal(died, "a worker died again and again: giving up");
    this.stop().then(onGivenUp, onGivenUp);
  }
}
