import type { memory } from "../../src/broker/memory.ts";
import type { Delivery } from "../../src/delivery.ts";
import type { SocketLink } from "../../src/link.ts";
import type { PushLog } from "../../src/pushes.ts";
import type { Turns } from "../../src/turns.ts";

/** What a run takes of the server: its sources, or a copy with a fault in it. */
export interface Core {
  readonly Delivery: typeof Delivery;
  readonly SocketLink: typeof SocketLink;
  readonly PushLog: typeof PushLog;
  readonly Turns: typeof Turns;
  readonly memory: typeof memory;
}

/** The core as it is in `folder`, a copy of the server's `src`. */
export async function coreIn(folder: string): Promise<Core> {
  const part = async <T>(file: string): Promise<T> => (await import(/* @vite-ignore */ `${folder}/${file}`)) as T;
  const [delivery, link, pushes, turns, broker] = await Promise.all([
    part<Pick<Core, "Delivery">>("delivery.ts"),
    part<Pick<Core, "SocketLink">>("link.ts"),
    part<Pick<Core, "PushLog">>("pushes.ts"),
    part<Pick<Core, "Turns">>("turns.ts"),
    part<Pick<Core, "memory">>("broker/memory.ts"),
  ]);
  return {
    Delivery: delivery.Delivery,
    SocketLink: link.SocketLink,
    PushLog: pushes.PushLog,
    Turns: turns.Turns,
    memory: broker.memory,
  };
}
