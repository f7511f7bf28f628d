// Holds what was seen to what is promised when a store has lost the end of what it accepted.
import type { Told } from "./crowd.ts";
import type { Handled } from "./witnesses.ts";

/** What became of messages to one user whose store went back. No two messages are alike. */
export interface Remains {
  /** Everything that was accepted. */
  readonly accepted: ReadonlySet<string>;
  /** What is in the log at the end, in order. */
  readonly log: readonly string[];
  /** What each page was given and told, in that order. */
  readonly pages: ReadonlyMap<string, readonly (Handled | Told)[]>;
  /** What came to each plain client, one list per connection, oldest first. */
  readonly plain: ReadonlyMap<string, readonly (readonly unknown[])[]>;
}

/** Every broken promise, in words: what is in the log reaches everybody in order, and nobody is left to guess that something is not. */
export function brokenAfterLoss({ accepted, log, pages, plain }: Remains): readonly string[] {
  const kept = new Map(log.map((data, i) => [data, i]));
  const broken: string[] = [];
  for (const data of kept.keys()) if (log.indexOf(data) !== kept.get(data)) broken.push(`"${data}" is in the log twice.`);
  for (const [page, seen] of pages) broken.push(...againstPage(page, seen, kept, accepted));
  for (const [client, connections] of plain) broken.push(...againstPlain(client, connections, kept));
  return broken;
}

/**
 * Everything that was kept, in order and once; and word of it where what was given is lost. Who is told begins again where today's log
 * knows the device to be: what it had before then may come again, and nothing may be left out.
 */
function againstPage(
  page: string,
  seen: readonly (Handled | Told)[],
  kept: ReadonlyMap<string, number>,
  accepted: ReadonlySet<string>,
): readonly string[] {
  const broken: string[] = [];
  const handled = new Set<string>();
  let next = 0;
  let mayStepBack = false;
  let hasLost = false;
  let isTold = false;
  for (const one of seen) {
    if ("missed" in one) {
      isTold = mayStepBack = true;
      continue;
    }
    handled.add(one.data);
    const place = kept.get(one.data);
    if (place === undefined) {
      hasLost = true;
      continue;
    }
    const isNext = place === next || (mayStepBack && place < next);
    if (!isNext) broken.push(`${page} was given "${one.data}", ${place} of those that were kept, where ${next} was next.`);
    next = place + 1;
    mayStepBack = false;
  }
  for (const data of kept.keys()) if (!handled.has(data)) broken.push(`${page} was not given "${data}", which was kept.`);
  const lost = [...accepted].filter((data) => !kept.has(data) && !handled.has(data));
  if (hasLost && !isTold) broken.push(`${page} was given what was lost, and not told; it was not given ${lost.length} more.`);
  return broken;
}

/** Each connection in order without holes, of what was kept; in all everything. */
function againstPlain(
  client: string,
  connections: readonly (readonly unknown[])[],
  kept: ReadonlyMap<string, number>,
): readonly string[] {
  const broken: string[] = [];
  for (const [index, received] of connections.entries()) {
    let last: number | undefined;
    for (const data of received) {
      const place = kept.get(String(data));
      if (place === undefined) continue;
      if (last !== undefined && place !== last + 1) {
        broken.push(`Connection ${index + 1} of ${client} was given the ${place}th that was kept after the ${last}th.`);
      }
      last = place;
    }
  }
  const given = new Set(connections.flat());
  for (const data of kept.keys()) if (!given.has(data)) broken.push(`${client} was not given "${data}", which was kept.`);
  return broken;
}
