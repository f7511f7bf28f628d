import type { memory } from "../../src/broker/memory.ts";
import type { Delivery } from "../../src/delivery.ts";
import type { SocketLink } from "../../src/link.ts";
import type { LocalPresence } from "../../src/local-presence.ts";
import type { PushLog } from "../../src/pushes.ts";
import type { Receipts } from "../../src/receipts.ts";
import type { Turns } from "../../src/turns.ts";

/** What a run takes of the server: its sources, or a copy with a fault in it. */
export interface Core {
  readonly Delivery: typeof Delivery;
  readonly LocalPresence: typeof LocalPresence;
  readonly SocketLink: typeof SocketLink;
  readonly PushLog: typeof PushLog;
  readonly Receipts: typeof Receipts;
  readonly Turns: typeof Turns;
  readonly memory: typeof memory;
}

const FILES: Readonly<Record<keyof Core, string>> = {
  Delivery: "delivery.ts",
  LocalPresence: "local-presence.ts",
  SocketLink: "link.ts",
  PushLog: "pushes.ts",
  Receipts: "receipts.ts",
  Turns: "turns.ts",
  memory: "broker/memory.ts",
};

/** The core as it is in `folder`, the server's `src` or a copy of it. */
export async function coreIn(folder: string): Promise<Core> {
  const parts = Object.entries(FILES).map(async ([name, file]) => {
    const exported = (await import(/* @vite-ignore */ `${folder}/${file}`)) as Readonly<Record<string, unknown>>;
    return [name, exported[name]] as const;
  });
  return Object.fromEntries(await Promise.all(parts)) as unknown as Core;
}
