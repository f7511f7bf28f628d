import type { Connection } from "./connection.ts";
import { decodeArguments } from "./encode.ts";
import type { DeviceFilter, Entry, MailboxState, Page } from "./ports.ts";
import { progressOf } from "./progress.ts";
import type { Push } from "./pushes.ts";
import { includes } from "./ranges.ts";
import { isFor } from "./resume.ts";

// Why did Bob not get message M? Told from what is kept anyway: the log, the cursors, and the latest pushes of this node.

/**
 * How far a message has come: `unknown` (there is none at this offset), `waiting` (nobody was given it), `pushed` (somebody was,
 * and has not confirmed it), `delivered`, `read`; `expired` or `trimmed` before anybody confirmed it.
 */
export type TraceState = "unknown" | "waiting" | "pushed" | "delivered" | "read" | "expired" | "trimmed";

/** What one device has of a message. */
export interface DeviceTrace {
  readonly device: string;
  /** Whether it has a connection to this node now. */
  readonly connected: boolean;
  /**
   * `not-addressed`: the message is for other devices. `passed`: its cursor is beyond the message, and no push to it is remembered:
   * it confirmed the message long ago, began behind it, or was told that it will not come.
   */
  readonly state: "not-addressed" | "waiting" | "pushed" | "passed" | "delivered" | "read";
  /** The latest pushes to it that are remembered. */
  readonly pushes: readonly { readonly socketId: string; readonly at: number }[];
  /** When its cursors last moved, in milliseconds since 1970: at the latest by then. */
  readonly deliveredAt?: number;
  readonly readAt?: number;
}

/** What is known of one message. */
export interface MessageTrace {
  readonly userId: string;
  readonly epoch: string;
  /** The newest offset of the mailbox. */
  readonly head: number;
  readonly offset: number;
  readonly state: TraceState;
  /** The message itself, as long as the log holds it. */
  readonly accepted?: {
    readonly at: number;
    readonly expiresAt: number;
    readonly event: string;
    /** The user who sent it; absent when the back end did. */
    readonly from?: string;
    readonly key?: string;
    readonly devices?: DeviceFilter;
  };
  readonly devices: readonly DeviceTrace[];
  /** The same in a sentence, for the person who asks. */
  readonly summary: string;
}

/** What a trace is told from. */
export interface TraceSources {
  readonly userId: string;
  readonly offset: number;
  readonly state: MailboxState;
  /** What follows `offset - 1` in the log. */
  readonly page: Page;
  readonly pushes: readonly Push[];
  /** The user's connections to this node. */
  readonly connections: Iterable<Connection>;
}

/** What is known of one message. */
export function traceOf(sources: TraceSources): MessageTrace {
  const { userId, offset, state, page } = sources;
  const { epoch, head } = state;
  const entry = page.entries[0]?.offset === offset ? page.entries[0] : undefined;
  const isThere = offset >= 1 && offset <= head.offset;
  const devices = isThere ? devicesOf(sources, entry) : [];
  const traced = { userId, epoch, head: head.offset, offset, state: isThere ? stateOf(sources, entry) : "unknown" } as const;
  return {
    ...traced,
    ...(entry && { accepted: acceptedOf(entry) }),
    devices,
    summary: summaryOf(traced.state, devices),
  };
}

function stateOf({ state, offset, page, pushes }: TraceSources, entry: Entry | undefined): TraceState {
  const { delivered, read } = progressOf(state, {
    epoch: state.epoch,
    offset,
    ...(entry?.devices && { devices: entry.devices }),
  });
  if (read !== undefined) return "read";
  if (delivered !== undefined) return "delivered";
  if (entry === undefined) return offset <= page.trimmed ? "trimmed" : "expired";
  return pushes.length > 0 ? "pushed" : "waiting";
}

function devicesOf({ state, offset, pushes, connections }: TraceSources, entry: Entry | undefined): readonly DeviceTrace[] {
  const connected = new Set([...connections].map(({ info }) => info.device));
  const names = new Set([...state.devices.keys(), ...connected, ...pushes.map(({ device }) => device)]);
  return [...names].map((device): DeviceTrace => {
    const cursors = state.devices.get(device);
    const own = pushes.filter((push) => push.device === device).map(({ socketId, at }) => ({ socketId, at }));
    const deliveredAt = cursors !== undefined && cursors.delivered >= offset ? cursors.deliveredAt || undefined : undefined;
    const isShown = cursors !== undefined && cursors.read >= offset && !includes(state.user.unshown, offset);
    const readAt = isShown && deliveredAt !== undefined ? cursors.readAt : undefined;
    const deviceState = (): DeviceTrace["state"] => {
      if (!isFor(entry ?? {}, device)) return "not-addressed";
      if (deliveredAt === undefined) return own.length > 0 ? "pushed" : "waiting";
      if (readAt !== undefined) return "read";
      return own.length > 0 && !includes(state.user.missed, offset) ? "delivered" : "passed";
    };
    return {
      device,
      connected: connected.has(device),
      state: deviceState(),
      pushes: own,
      ...(deliveredAt !== undefined && { deliveredAt }),
      ...(readAt !== undefined && { readAt }),
    };
  });
}

function acceptedOf({ at, expiresAt, from, key, devices, ...encoded }: Entry): NonNullable<MessageTrace["accepted"]> {
  const [event] = decodeArguments(encoded);
  return {
    at,
    expiresAt,
    event: String(event),
    ...(from !== undefined && { from }),
    ...(key !== undefined && { key }),
    ...(devices && { devices }),
  };
}

const SENTENCES: Readonly<Record<TraceState, string>> = {
  unknown: "There is no such message.",
  waiting: "No connection was given it yet.",
  pushed: "It was pushed and is not confirmed.",
  delivered: "A device has confirmed it.",
  read: "The user has read it.",
  expired: "It expired before anybody confirmed it.",
  trimmed: "The mailbox reached its limits and dropped it before anybody confirmed it.",
};

function summaryOf(state: TraceState, devices: readonly DeviceTrace[]): string {
  const each = devices.map(({ device, connected, state: own }) => `${device}: ${own}${connected ? "" : ", not connected"}`);
  return each.length === 0 ? SENTENCES[state] : `${SENTENCES[state]} ${each.join("; ")}.`;
}
