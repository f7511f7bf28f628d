// Holds what was sent, accepted and received to the first promises. Knows nothing of how any of it came about.

/** A message as a handler of the SDK was given it. */
export interface Handled {
  readonly offset: number;
  readonly data: string;
}

/** What became of messages to one user, as everybody tells it who took part. No two messages are alike. */
export interface Testimony {
  /** Every message that anybody tried to send, and whether with a key and until it was accepted. */
  readonly sent: ReadonlyMap<string, { readonly keyed: boolean }>;
  /** What was accepted, by message: the offset its sender was told. */
  readonly accepted: ReadonlyMap<string, number>;
  /** What the handlers of each page were given, in that order. A page lived from before the first message on. */
  readonly pages: ReadonlyMap<string, readonly Handled[]>;
  /** What came to each plain client, one list per connection, oldest first. */
  readonly plain: ReadonlyMap<string, readonly (readonly unknown[])[]>;
}

/** Every broken promise, in words; none where all were kept. */
export function brokenPromises({ sent, accepted, pages, plain }: Testimony): readonly string[] {
  const broken: string[] = [];
  const log = new Map<number, string>();
  for (const [page, handled] of pages) {
    for (const { offset, data } of handled) {
      const known = log.get(offset);
      if (known !== undefined && known !== data) broken.push(`At ${offset} is "${known}", but ${page} was given "${data}".`);
      else log.set(offset, data);
    }
  }
  const head = Math.max(0, ...accepted.values(), ...log.keys());
  for (let offset = 1; offset <= head; offset++) if (!log.has(offset)) broken.push(`Nobody was given what is at ${offset}.`);
  broken.push(...againstSenders(log, sent, accepted));
  for (const [page, handled] of pages) broken.push(...againstPage(page, handled, head));
  const places = new Map([...log].map(([offset, data]) => [data, offset]));
  for (const [client, connections] of plain) broken.push(...againstPlain(client, connections, places));
  return broken;
}

/** Kept at the place its sender was told, once, and nothing else. */
function againstSenders(
  log: ReadonlyMap<number, string>,
  sent: Testimony["sent"],
  accepted: Testimony["accepted"],
): readonly string[] {
  const broken: string[] = [];
  for (const [data, offset] of accepted) {
    if (log.get(offset) !== data) broken.push(`"${data}" was accepted at ${offset}, where "${log.get(offset)}" is.`);
  }
  const seen = new Map<string, number>();
  for (const [offset, data] of log) {
    const before = seen.get(data);
    if (before !== undefined) broken.push(`"${data}" is at ${before} and at ${offset}.`);
    seen.set(data, offset);
    if (!sent.has(data)) broken.push(`Nobody sent "${data}", which is at ${offset}.`);
  }
  for (const [data, { keyed }] of sent) {
    if (keyed && !accepted.has(data)) broken.push(`"${data}" was tried until it was accepted, and was not.`);
  }
  return broken;
}

/** Everything in order, once. */
function againstPage(page: string, handled: readonly Handled[], head: number): readonly string[] {
  const broken: string[] = [];
  let expected = 1;
  for (const { offset, data } of handled) {
    if (offset !== expected) broken.push(`${page} was given ${offset} ("${data}") where ${expected} was next.`);
    expected = Math.max(expected, offset + 1);
  }
  if (expected <= head) broken.push(`${page} was given nothing from ${expected} on, of ${head}.`);
  return broken;
}

/** Each connection a stretch without holes or repetitions; in all everything, and nothing new after something newer. */
function againstPlain(
  client: string,
  connections: readonly (readonly unknown[])[],
  places: ReadonlyMap<string, number>,
): readonly string[] {
  const broken: string[] = [];
  let known = 0;
  for (const [index, received] of connections.entries()) {
    let last: number | undefined;
    for (const data of received) {
      const place = places.get(String(data)) ?? Number.NaN;
      const which = `Connection ${index + 1} of ${client}`;
      if (Number.isNaN(place)) broken.push(`${which} was given "${data}", which is nowhere.`);
      else if (last !== undefined && place !== last + 1) broken.push(`${which} was given ${place} after ${last}.`);
      else if (place > known + 1) broken.push(`${which} was given ${place}, when ${known} was the last ${client} had.`);
      last = place;
      if (place > known) known = place;
    }
  }
  if (known < places.size) broken.push(`${client} was given nothing from ${known + 1} on, of ${places.size}.`);
  return broken;
}
