import type { WireError } from "@usercast/protocol";

/** The answer to a send: a receipt, or an error. */
export interface SendAnswer {
  readonly status: number;
  readonly state?: "pushed" | "queued" | "duplicate" | "signalled";
  readonly epoch?: string;
  readonly offset?: number;
  readonly at?: number;
  readonly error?: WireError;
}

/** One connection of a user, as far as the tests look at it. */
export interface ConnectionView {
  readonly socketId: string;
  readonly device: string;
  readonly state: string;
  readonly sent: number;
  readonly confirmed: number;
}

/** A user, as `GET /v1/users/{id}` describes them. */
export interface UserView {
  readonly online: boolean;
  readonly lastSeen?: number;
  readonly devices: readonly string[];
  readonly connections: readonly ConnectionView[];
}

/** What goes with a message. */
export interface SendFields {
  readonly key?: string;
  readonly event?: string;
  readonly volatile?: boolean;
  readonly ttl?: number | string;
}

/** A server that can be called: its address is read at each call, because a restart may change it. */
export interface Addressed {
  readonly url: string;
}

/** `POST /v1/users/{id}/messages`. */
export async function send(
  server: Addressed,
  userId: string,
  data: unknown,
  { key, ...fields }: SendFields = {},
): Promise<SendAnswer> {
  const response = await fetch(`${server.url}/v1/users/${encodeURIComponent(userId)}/messages`, {
    method: "POST",
    headers: { "content-type": "application/json", ...(key !== undefined && { "idempotency-key": key }) },
    body: JSON.stringify({ data, ...fields }),
  });
  return { status: response.status, ...((await response.json()) as object) };
}

/** `GET /v1/users/{id}`. */
export async function describeUser(server: Addressed, userId: string): Promise<UserView> {
  const response = await fetch(`${server.url}/v1/users/${encodeURIComponent(userId)}`);
  if (response.status !== 200) throw new Error(`The server answered ${response.status}: ${await response.text()}`);
  return (await response.json()) as UserView;
}

/** How many connections a user has. */
export const connectionCount = async (server: Addressed, userId: string): Promise<number> =>
  (await describeUser(server, userId)).connections.length;

/**
 * Sends many messages, several at a time, and answers them in the order of the mailbox. Every one must be accepted.
 * `onAccepted` is told after each.
 */
export async function sendAll(
  server: Addressed,
  userId: string,
  messages: Iterable<unknown>,
  options: { readonly concurrency?: number; readonly onAccepted?: (count: number) => void } = {},
): Promise<readonly unknown[]> {
  const placed: { readonly offset: number; readonly data: unknown }[] = [];
  const rest = messages[Symbol.iterator]();
  const worker = async (): Promise<void> => {
    // The workers share one iterator, so that each message is taken once.
    for (let next = rest.next(); !next.done; next = rest.next()) {
      const data = next.value;
      const { offset, status, error } = await send(server, userId, data);
      if (offset === undefined) throw new Error(`The server answered ${status}: ${error?.code}`);
      placed.push({ offset, data });
      options.onAccepted?.(placed.length);
    }
  };
  await Promise.all(Array.from({ length: options.concurrency ?? 8 }, worker));
  return placed.sort((a, b) => a.offset - b.offset).map(({ data }) => data);
}

/** `GET /v1/users/{id}/messages`, page after page: what the user's mailbox holds, in order. */
export async function readLog(server: Addressed, userId: string): Promise<readonly string[]> {
  const all: string[] = [];
  for (let after = 0; ; ) {
    const response = await fetch(`${server.url}/v1/users/${encodeURIComponent(userId)}/messages?after=${after}`);
    if (response.status !== 200) throw new Error(`The server answered ${response.status}: ${await response.text()}`);
    const page = (await response.json()) as { messages: readonly { data: unknown }[]; through: number; head: { offset: number } };
    all.push(...page.messages.map(({ data }) => String(data)));
    if (page.through >= page.head.offset) return all;
    after = page.through;
  }
}

/** What a node of `bench/node.js` heard of users coming and going, and how many there are on all nodes. */
export interface Heard {
  readonly events: readonly { readonly event: "online" | "offline"; readonly userId: string }[];
  readonly users: number;
  readonly connections: number;
}

export const heard = async (server: Addressed): Promise<Heard> => (await (await fetch(`${server.url}/events`)).json()) as Heard;
