import type { Position } from "@usercast/protocol";
import { memory } from "../../src/broker/memory.ts";
import { Delivery } from "../../src/delivery.ts";
import type { Broker } from "../../src/ports.ts";
import { ManualClock } from "../../src/testing/manual-clock.ts";
import { type Client, type Run, WINDOW } from "./client.ts";
import { PlainClient, type Stay } from "./plain-client.ts";
import { type DevicePast, SdkClient } from "./sdk-client.ts";
import { SlowBroker, StoreFails } from "./slow-broker.ts";

/** What may happen in a run, beside broken and slow connections. */
export interface Settings {
  /** Messages expire, and mailboxes are small. */
  readonly losses?: boolean;
  readonly purges?: boolean;
  /** The store fails at times. */
  readonly failures?: boolean;
  /** Listeners are not told of everything, and later that they have missed something. */
  readonly lostHints?: boolean;
}

/** What can be done in a run. */
export type Deed =
  | "publish"
  | "live"
  | "take"
  | "beat"
  | "settle"
  | "confirm"
  | "cut"
  | "connect"
  | "register"
  | "reload"
  | "ping"
  | "pass"
  | "answer"
  | "purge"
  | "fail";

interface Message {
  readonly number: number;
  readonly userId: string;
  readonly epoch: string;
  readonly offset: number;
  readonly step: number;
}

/** Turns of the loop after which everything that was accepted must have arrived. */
const MAX_TURNS = 1_000;
const USERS = ["ana", "__proto__"] as const;

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Small numbers that a seed decides (mulberry32). */
const numbers = (seed: number) => (below: number) => {
  seed = (seed + 0x6d2b79f5) | 0;
  let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed);
  mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
  return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
};

/** The delivery core over the memory broker, with answers that take their time, and clients on connections that break. */
export class Simulation implements Run {
  readonly delivery: Delivery;
  readonly #settings: Settings;
  readonly #random: (below: number) => number;
  readonly #clock = new ManualClock();
  readonly #broker: SlowBroker;
  /** The same without its delays. */
  readonly #log: Broker;
  readonly #clients: Client[];
  readonly #stays: Stay[] = [];
  readonly #devices = new Map<string, DevicePast>();
  readonly #messages: Message[] = [];
  /** What was announced of each user, in turn. */
  readonly #presence = new Map<string, string>();
  #steps = 0;
  #published = 0;
  #failed: string | undefined;

  constructor(settings: Settings, seed: number) {
    this.#settings = settings;
    this.#random = numbers(seed);
    this.#log = memory({
      quiet: true,
      clock: this.#clock,
      sweepIntervalMs: 1e12,
      ...(settings.losses && { maxMailboxMessages: 12 }),
    });
    this.#broker = new SlowBroker(this.#log, this.#random, (...move) => this.#checkCursor(...move));
    this.#broker.losesHints = settings.lostHints === true;
    this.delivery = new Delivery({
      broker: this.#broker,
      clock: this.#clock,
      windowMessages: WINDOW,
      windowBytes: 300,
      maxPayloadBytes: 1_000,
      pageMessages: 3,
      pingIntervalMs: 1_000,
      maxConnectionsPerUser: 64,
      cursorIntervalMs: 200,
      maxWaitingCursors: 100,
      maxOwedUsers: 100,
      owedMs: 10 ** 12,
      presenceGraceMs: 5_000,
      maxLastSeen: 100,
      onPresence: (event, userId) => {
        if ((this.#presence.get(userId) ?? "offline") === event) this.fail(`${userId} is ${event} twice`);
        this.#presence.set(userId, event);
      },
      onConnection: () => {},
      onMissed: () => {},
      onError: (error) => {
        if (!(error instanceof StoreFails)) this.fail(String(error));
      },
    });
    const [ana, other] = USERS;
    this.#clients = [
      this.#sdk(ana, "phone"),
      this.#sdk(ana, "phone"),
      this.#sdk(ana, "laptop"),
      this.#sdk(other, "phone"),
      new PlainClient(this, { "/": ana }, this.#stays),
      new PlainClient(this, { "/": ana }, this.#stays),
      new PlainClient(this, { "/": ana, "/chat": other }, this.#stays),
      new PlainClient(this, { "/": other }, this.#stays, 3),
    ];
  }

  readonly step = (): number => ++this.#steps;

  readonly fail = (what: string): void => {
    this.#failed ??= what;
  };

  /** Where the store fails, the plain device has its place before: without one nobody knows that it has been here. */
  async begin(): Promise<void> {
    if (!this.#settings.failures) return;
    for (const userId of USERS) this.#publish(userId, 0);
    await this.#settle();
    for (const client of this.#clients) client.engine?.close();
  }

  async act(deed: Deed, who: number, much: number, turns: number): Promise<void> {
    const client = this.#clients[who % this.#clients.length];
    const userId = USERS[who % 4 === 0 ? 1 : 0];
    if (deed === "publish") this.#publish(userId, much);
    else if (deed === "live") this.#live(client);
    else if (deed === "take") client?.take(much);
    else if (deed === "beat") client?.beat(1 + (much % 3));
    else if (deed === "settle" && client instanceof SdkClient) client.settle(much);
    else if (deed === "confirm" && client instanceof SdkClient) client.confirm();
    else if (deed === "cut") client?.engine?.close();
    else if (deed === "connect" && client?.engine === undefined) client?.connect();
    else if (deed === "register" && client instanceof PlainClient && client.engine !== undefined)
      client.register(USERS[much % 2] ?? "");
    else if (deed === "reload" && client instanceof SdkClient) client.reload(much % 2 === 0);
    else if (deed === "ping") client?.engine?.ping();
    else if (deed === "pass") this.#clock.advance(much * much * 50);
    else if (deed === "answer") for (let i = 0; i <= much; i += 1) this.#broker.answer();
    else if (deed === "purge" && this.#settings.purges && much < 3) await this.#broker.purge(userId);
    else if (deed === "fail" && this.#settings.failures) this.#broker.isFailing = much < 3;
    for (let i = 0; i < turns; i += 1) await turn();
  }

  /** Everybody who is away comes back, and everything that waits goes on, until nothing moves any more. */
  async heal(): Promise<void> {
    this.#broker.isFailing = false;
    if (this.#settings.lostHints) for (const listener of this.#broker.listeners) listener.interrupted();
    await this.#settle();
    // What a plain connection lost goes to the next one, so each user gets one that comes after all others.
    for (const userId of USERS) this.#clients.push(new PlainClient(this, { "/": userId }, this.#stays));
    await this.#settle();
  }

  /** Lets go of everything in the middle of things; what is left is told. */
  async close(): Promise<{ connections: number; subscriptions: number; timers: number }> {
    for (const userId of USERS) this.#publish(userId, 0);
    await turn();
    this.#broker.isCalm = true;
    this.#broker.answerAll();
    if (this.#random(2) === 0) {
      for (const client of this.#clients) client.engine?.close();
      await turn();
      this.#clock.advance(10_000);
      for (const userId of USERS) if (this.#presence.get(userId) !== "offline") this.fail(`${userId} is not offline`);
    }
    await this.delivery.close();
    for (const client of this.#clients) client.engine?.close();
    await this.#broker.close();
    await turn();
    await turn();
    await turn();
    if (this.#failed !== undefined) throw new Error(this.#failed);
    const connections =
      [...this.delivery.hub.connections()].length + USERS.filter((userId) => this.delivery.hub.get(userId)).length;
    return { connections, subscriptions: this.#broker.listeners.size, timers: this.#clock.timers };
  }

  /** Holds what everybody received against what was accepted. */
  async check(): Promise<void> {
    for (const userId of USERS) {
      const { epoch, entries, head } = await this.#log.read(userId, 0, 10_000);
      const retained = new Map(entries.map(({ offset, text }) => [offset, Number(text.split(",")[1])]));
      for (const client of this.#clients)
        if (client instanceof SdkClient && client.userId === userId) this.#checkPage(client, epoch, retained, head.offset);
      for (const stay of this.#stays) if (stay.userId === userId) this.#checkStay(stay, epoch, new Set(retained.values()));
    }
    if (this.#failed !== undefined) throw new Error(this.#failed);
  }

  #checkPage(page: SdkClient, epoch: string, retained: ReadonlyMap<number, number>, head: number): void {
    for (const { start, handled, missed, known, epoch: of } of page.lives) {
      const numberAt = new Map(
        this.#messages.filter((message) => message.epoch === of).map(({ offset, number }) => [offset, number]),
      );
      const told = [
        ...missed.map(({ after, before }) => [after, before - 1] as const),
        ...handled.map(({ offset }) => [offset - 1, offset] as const),
      ];
      let through = start;
      for (const [after, last] of told.sort(([a], [b]) => a - b)) {
        if (after !== through) this.fail(`between ${through} and ${after} a page has neither handled nor missed`);
        through = last;
      }
      if (through !== known) this.fail("a page knows what it was not told");
      for (const { offset, number } of handled)
        if (numberAt.get(offset) !== number) this.fail(`${number} is not the message at ${offset}`);
      if (of === epoch) {
        for (const { after, before } of missed)
          for (let offset = after + 1; offset < before; offset += 1)
            if (retained.has(offset)) this.fail(`${offset} was told as missed and is there`);
      }
    }
    if (page.life?.epoch !== epoch || page.life.known !== head) this.fail(`a page stands at ${page.life?.known} of ${head}`);
  }

  #checkStay(stay: Stay, epoch: string, retained: ReadonlySet<number>): void {
    const { pushed, received, startedAt, endedAt, connection } = stay;
    const offsets = received.map((number) => this.#messages.find((message) => message.number === number)?.offset ?? 0);
    if (offsets.some((offset, i) => offset <= (offsets[i - 1] ?? 0))) this.fail(`a plain client received ${offsets}`);
    const holes = this.#messages.filter(
      ({ number, userId, epoch: of, offset }) =>
        userId === stay.userId &&
        of === connection.epoch &&
        retained.has(number) &&
        offset > (offsets[0] ?? 0) &&
        offset < (offsets.at(-1) ?? 0) &&
        !received.includes(number),
    );
    if (holes.length > 0) this.fail(`a plain client received ${offsets}, without ${holes.map(({ offset }) => offset)}`);
    if (this.#settings.lostHints) return;
    // What was pushed to it, or accepted while it was there and the device had a place, came to it or to one of those who came after it.
    const isKnown = this.#stays.some(
      (other) =>
        other.userId === stay.userId &&
        other.pushed.length > 0 &&
        other.connection.epoch === epoch &&
        other.startedAt < startedAt,
    );
    const due = this.#messages.filter(
      ({ number, userId, epoch: of, step }) =>
        userId === stay.userId &&
        of === epoch &&
        connection.epoch === epoch &&
        (pushed.includes(number) || (isKnown && step > startedAt && step < endedAt)),
    );
    const next = this.#stays.filter((other) => other.userId === stay.userId && other.startedAt > endedAt);
    const had = [...received, ...this.#hadBefore(stay.userId, startedAt)];
    for (const { number, offset } of due) {
      if (!retained.has(number) || had.includes(number) || next.some((other) => other.received.includes(number))) continue;
      this.fail(`the plain client's message at ${offset} is lost`);
    }
  }

  /** A page that remembers nothing begins no further than its device has settled, or, for a new device, than somebody has. */
  readonly checkStart = (page: SdkClient, { epoch, offset }: Position, firstPushed = Number.POSITIVE_INFINITY): void => {
    const pages = this.#clients.filter((client) => client instanceof SdkClient).filter(({ userId }) => userId === page.userId);
    const settled = (of: readonly SdkClient[]) =>
      Math.max(0, ...of.flatMap(({ lives }) => lives.filter((life) => life.epoch === epoch).map((life) => life.settled)));
    const received = this.#stays.filter(({ userId }) => userId === page.userId).flatMap((stay) => stay.received);
    const byPlain = this.#messages.filter((message) => message.epoch === epoch && received.includes(message.number));
    const device = pages.filter((other) => other.device === page.device);
    const furthest = Math.max(settled(pages), ...byPlain.map((message) => message.offset));
    // What expired counts as had.
    if (offset > furthest && !this.#settings.losses) this.fail(`a page begins behind ${offset}, which nobody has`);
    const begun = this.#devices.get(`${page.userId} ${page.device}`)?.begun.get(epoch) ?? 0;
    if (offset >= firstPushed && offset > Math.max(begun, settled(device)))
      this.fail(`a page begins behind ${offset}, which its device has not settled`);
  };

  /** As the broker is about to write it: never past what a plain connection was pushed and has not received. */
  async #checkCursor(userId: string, device: string, epoch: string, delivered: number): Promise<void> {
    // Nobody is owed what nobody has heard of.
    if (device !== "plain" || this.#settings.lostHints || (await this.#log.position(userId, device)).epoch !== epoch) return;
    const stays = this.#stays.filter((stay) => stay.userId === userId && stay.connection.epoch === epoch);
    for (const { pushed, received, startedAt, endedAt } of stays) {
      if (stays.some((next) => next.startedAt > endedAt)) continue;
      const had = this.#hadBefore(userId, startedAt);
      const unreceived = this.#messages.find(
        ({ number, epoch: life }) => life === epoch && pushed.includes(number) && ![...received, ...had].includes(number),
      );
      if (unreceived !== undefined && unreceived.offset <= delivered)
        this.fail(`the plain cursor goes to ${delivered}, past ${unreceived.offset}`);
    }
  }

  /** Where the store failed to write a cursor, what plain connections before had confirmed may come to later ones too, or not. */
  #hadBefore(userId: string, startedAt: number): readonly number[] {
    if (!this.#settings.failures) return [];
    return this.#stays.filter((stay) => stay.userId === userId && stay.endedAt < startedAt).flatMap(({ received }) => received);
  }

  #sdk(userId: string, device: string): SdkClient {
    const key = `${userId} ${device}`;
    const past = this.#devices.get(key) ?? { firstPushed: new Map(), begun: new Map() };
    this.#devices.set(key, past);
    return new SdkClient(this, userId, device, past);
  }

  #publish(userId: string, much: number): void {
    this.#published += 1;
    const number = this.#published;
    const ttlMs = this.#settings.losses && much > 4 ? much * 100 : 1e9;
    const step = this.step();
    const draft = { id: `d${number}`, userId, text: `"message",${number}`, bytes: 10 + much * 10, ttlMs };
    void this.#broker.publish([draft]).then(([result]) => {
      if (result?.state !== "accepted") this.fail("a message was refused");
      else this.#messages.push({ number, userId, epoch: result.epoch, offset: result.offset, step });
    });
  }

  /** A healthy client's moment. */
  #live(client: Client | undefined): void {
    client?.take();
    client?.beat();
    if (!(client instanceof SdkClient)) return;
    client.settle();
    client.confirm();
  }

  async #settle(): Promise<void> {
    this.#broker.isCalm = true;
    for (let second = 0; second < 4; second += 1) {
      for (let quiet = 0, turns = 0; quiet < 3; turns += 1) {
        if (turns > MAX_TURNS) throw new Error("it never comes to rest");
        this.#broker.answerAll();
        for (const client of this.#clients) if (client.engine === undefined) client.connect();
        await turn();
        quiet = this.#clients.some(({ engine }) => engine?.inFlight.some(({ type }) => type === "message")) ? 0 : quiet + 1;
        for (const client of this.#clients) this.#live(client);
      }
      this.#clock.advance(1_000);
    }
    this.#broker.isCalm = false;
  }
}
