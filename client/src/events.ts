/**
 * What an event map has to look like: names to functions of at most one piece of data, in the manner of Socket.IO's generics.
 *
 * @example
 * interface Events {
 *   message: (data: { text: string }) => void;
 *   ping: () => void;
 * }
 */
export type EventMap<Events> = { readonly [Event in keyof Events]: (data: never) => void };

/** Any event with any data: what holds where no event map is given. */
export interface DefaultEvents {
  readonly [event: string]: (data?: unknown) => void;
}

/** The names of an event map. */
export type EventName<Events> = keyof Events & string;

/** The arguments after the event's name: one piece of data, or none. */
export type DataArgs<Events, Event> = Event extends keyof Events
  ? Events[Event] extends (...args: infer Args extends readonly unknown[]) => void
    ? Args
    : never
  : never;

/** The data a handler of an event is given; an event without data brings `null`. */
export type DataOf<Events, Event> = DataArgs<Events, Event> extends readonly [] ? null : DataArgs<Events, Event>[0];

/** What a handler has to answer a question with: what the event's function returns, if that says anything. */
export type AnswerOf<Events, Event> = Event extends keyof Events
  ? Events[Event] extends (...args: never) => infer Answer
    ? // biome-ignore lint/suspicious/noConfusingVoidType: it is what the functions of an event map mostly return.
      [Answer] extends [void]
      ? unknown
      : Answer
    : never
  : never;

/** What accompanies a message: it is stored, comes in order, and is confirmed when its handlers have settled. */
export interface MessageInfo {
  readonly volatile: false;
  readonly epoch: string;
  readonly offset: number;
  /** When it was accepted, in milliseconds since 1970 by the server's clock. */
  readonly at: number;
  /** The user who sent it; absent when the back end did. */
  readonly from?: string;
  /** The sender's idempotency key. */
  readonly key?: string;
}

/** What accompanies a signal: it is not stored, has no place among the messages and may be lost. */
export interface SignalInfo {
  readonly volatile: true;
  readonly from?: string;
  readonly epoch?: undefined;
  readonly offset?: undefined;
  readonly at?: undefined;
  readonly key?: undefined;
}

/** What a handler is told beside the data; `volatile` tells a signal from a message. */
export type Info = MessageInfo | SignalInfo;

/** A message or signal handler. A message is settled when what it returns has resolved or rejected. */
export type Handler<Data = unknown> = (data: Data, info: Info) => unknown;
