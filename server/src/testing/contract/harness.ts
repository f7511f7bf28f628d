import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import type { ErrorCode } from "@usercast/protocol";
import type { RetentionOptions } from "../../broker/retention.ts";
import type { Broker, Draft, Entry, PublishResult } from "../../ports.ts";

/** The test runner and the broker that is held to the contract. */
export interface BrokerContract {
  /** The runner's way to group tests. */
  readonly describe: (name: string, define: () => void) => unknown;
  /** The runner's way to define a test. */
  readonly it: ((name: string, run: () => Promise<void>) => unknown) & {
    readonly skip: (name: string, run: () => Promise<void>) => unknown;
  };
  /** Opens the broker on an empty store of its own. The suite closes it. */
  readonly open: (limits: RetentionOptions) => Promise<Broker>;
  /** Lets at least this much time pass for every open broker: moves a clock that was given to it, or waits. */
  readonly elapse: (ms: number) => void | Promise<void>;
  /** Opens the store of a closed broker again, where the broker promises to keep it. */
  readonly reopen?: (closed: Broker, limits: RetentionOptions) => Promise<Broker>;
  /** Tests the broker is known to fail, by their name, with the reason. */
  readonly gaps?: Readonly<Record<string, string>>;
}

/** What the files of the suite share. */
export interface Suite extends BrokerContract {
  /** Defines a test around a broker that is closed after it. */
  readonly test: (name: string, run: (broker: Broker) => Promise<void>, limits?: RetentionOptions) => void;
}

/** The contract with a way to define its tests. */
export function suite(contract: BrokerContract): Suite {
  const test: Suite["test"] = (name, run, limits = {}) => {
    const gap = contract.gaps?.[name];
    const define = gap === undefined ? contract.it : contract.it.skip;
    define(gap === undefined ? name : `${name} (known gap: ${gap})`, async () => {
      const broker = await contract.open(limits);
      try {
        await run(broker);
      } finally {
        await broker.close();
      }
    });
  };
  return { ...contract, test };
}

/** A message to `userId` whose text tells it from others. */
export function draft(userId: string, fields: Partial<Draft> & { readonly content?: string } = {}): Draft {
  const { content = "hi", ...rest } = fields;
  const text = rest.text ?? `"message",${JSON.stringify(content)}`;
  return { id: randomUUID(), userId, text, bytes: Buffer.byteLength(text), ttlMs: 3_600_000, ...rest };
}

/** Publishes one draft that must be accepted. */
export async function accept(broker: Broker, message: Draft): Promise<Extract<PublishResult, { offset: number }>> {
  const [result] = await broker.publish([message]);
  assert.equal(result?.state, "accepted", `expected the message to be accepted, got ${describeResult(result)}`);
  return result as Extract<PublishResult, { offset: number }>;
}

/** Publishes one draft that must be refused with `code`. */
export async function refuse(broker: Broker, message: Draft, code: ErrorCode): Promise<void> {
  const [result] = await broker.publish([message]);
  assert.equal(describeResult(result), code);
}

/** The state of a result, or the code of the error it failed with. */
export const describeResult = (result: PublishResult | undefined): string =>
  result?.state === "failed" ? result.error.code : (result?.state ?? "nothing");

/** Everything a mailbox still holds, read in pages of `limit`. */
export async function readAll(broker: Broker, userId: string, limit = 100): Promise<readonly Entry[]> {
  const entries: Entry[] = [];
  for (let after = 0; ; ) {
    const page = await broker.read(userId, after, limit);
    entries.push(...page.entries);
    if (page.through >= page.head.offset) return entries;
    assert.ok(page.through > after, "a page that is not the last one must get further");
    after = page.through;
  }
}

/** The texts of entries, by which tests tell them apart. */
export const texts = (entries: readonly Pick<Entry, "text">[]): readonly string[] => entries.map(({ text }) => text);

/** Waits until `condition` holds: fan-out may take a moment, and some brokers make room step by step. */
export async function until(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!(await condition())) {
    assert.ok(Date.now() < deadline, `waited in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** Whether what was thrown is an error of ours with that code. */
export const hasCode = (code: ErrorCode) => (error: unknown) => (error as { code?: unknown }).code === code;
