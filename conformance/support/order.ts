import { expect } from "vitest";

/**
 * Holds what a plain client received to what it is promised: each connection a stretch of the mailbox without holes or
 * repetitions, all connections together everything, and nothing for the first time after something later.
 *
 * @param connections what came, one list per connection, oldest first
 * @param mailbox what was accepted, in order; no two alike
 */
export function expectInOrderAtLeastOnce(connections: readonly (readonly unknown[])[], mailbox: readonly unknown[]): void {
  for (const received of connections) {
    const first = mailbox.indexOf(received[0]);
    expect(received).toEqual(mailbox.slice(Math.max(first, 0), Math.max(first, 0) + received.length));
  }
  expect([...new Set(connections.flat())]).toEqual(mailbox);
}

/** `count` messages that can be told apart: `"a 1"`, `"a 2"`, … */
export const numbered = (name: string, count: number): string[] => Array.from({ length: count }, (_, i) => `${name} ${i + 1}`);
