import type { Broker } from "../../src/ports.ts";

/** A real store in the place of the specification: its answers take real time, so it says when it has come to rest. */
export interface RealStore {
  readonly broker: Broker;
  /** Resolves when every call has been answered, and everybody has heard of what it did. */
  still(): Promise<void>;
}

const BARRIER = "nobody";
const nothing = (): void => {};
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Makes a broker one that says when it is still. What it tells must be heard in the order in which it was told. */
export async function realStore(broker: Broker): Promise<RealStore> {
  let pending = 0;
  let passed = 0;
  const signal = (): void => {
    passed += 1;
  };
  await broker.subscribe(BARRIER, {
    ...{ entry: nothing, cursors: nothing, control: nothing, interrupted: nothing },
    signal,
  });
  const counted = new Proxy(broker, {
    get(target, name) {
      const method: unknown = Reflect.get(target, name);
      if (typeof method !== "function") return method;
      return (...args: readonly unknown[]): unknown => {
        const answer: unknown = Reflect.apply(method, target, args);
        if (!(answer instanceof Promise)) return answer;
        pending += 1;
        return answer.finally(() => {
          pending -= 1;
        });
      };
    },
  });
  return {
    broker: counted,
    async still() {
      do {
        while (pending > 0) await turn();
        // What was told before is heard before.
        const before = passed;
        broker.signal(BARRIER, { text: "", bytes: 0 });
        while (passed === before) await turn();
        await turn();
      } while (pending > 0);
    },
  };
}
