import { setTimeout as delay } from "node:timers/promises";
import { misbehave } from "./chaos.ts";
import { type Addressed, connectionCount, describeUser } from "./http.ts";
import { Ledger } from "./ledger.ts";
import { numbered } from "./order.ts";
import { owned } from "./owned.ts";
import { LIBRARIES, NEWEST, type PlainClient, plainClient } from "./plain.ts";
import { type Random, seeded } from "./random.ts";
import { RECONNECT } from "./reconnect.ts";
import { type Listening, Route } from "./route.ts";
import type { Sdk, SdkClient } from "./sdk.ts";
import { TcpProxy } from "./tcp-proxy.ts";
import { until } from "./wait.ts";
import { brokenPromises, type Handled } from "./witnesses.ts";

/** A client whose move to WebSocket was cut off at a bad moment finds out when its heartbeat is due: after 45 seconds. */
const PATIENCE_MS = 70_000;
/** Who comes back quickly meets the servers at their worst. */
const SENDERS = 4;
const LAST = "the last one";

const WEBSOCKET = { transports: ["websocket"] };
const POLLING = { transports: ["polling"] };
/** Pages with the SDK, and how they connect. */
const PAGES = [
  { name: "laptop, first tab", deviceId: "laptop", options: {} },
  { name: "laptop, second tab", deviceId: "laptop", options: WEBSOCKET },
  { name: "phone", deviceId: "phone", options: WEBSOCKET },
  { name: "tablet", deviceId: "tablet", options: POLLING },
] as const;
/** Plain clients, likewise. */
const PLAIN = [
  { name: "over WebSocket", library: NEWEST, options: WEBSOCKET },
  { name: "an older one", library: LIBRARIES[2] ?? NEWEST, options: {} },
] as const;

/** A node: where clients connect and senders call. */
export type Reachable = Addressed & Listening;

/** A page was told that messages will not come. */
export interface Told {
  readonly missed: { readonly after: number; readonly before: number; readonly reason: string };
}

/** How a `Crowd` is made. */
export interface CrowdOptions {
  readonly user: string;
  readonly nodes: readonly Reachable[];
  readonly sdk: Sdk;
  readonly seed: number;
  /** Codes that senders may be answered for a while. */
  readonly tolerated?: readonly string[];
  /** Whether the clients' own networks are bad, too. */
  readonly isRough?: boolean;
}

/** One user with connections of all kinds to several nodes, senders to them, and what everybody saw. */
export class Crowd {
  readonly user: string;
  readonly ledger: Ledger;
  /** What each page was given, in that order. */
  readonly pages = new Map<string, (Handled | Told)[]>();
  readonly plain = new Map<string, PlainClient>();
  readonly #options: CrowdOptions;
  readonly #clients = new Map<string, SdkClient>();
  readonly #trouble: unknown[] = [];
  readonly #proxies: TcpProxy[] = [];
  #streams = 0;
  #isOver = false;
  #going: Promise<unknown>[] = [];

  private constructor(options: CrowdOptions) {
    this.user = options.user;
    this.#options = options;
    this.ledger = new Ledger(options.user, options.nodes, options.tolerated ?? []);
  }

  /** Connects everybody, and answers when the nodes know of all of them. */
  static async start(options: CrowdOptions): Promise<Crowd> {
    const crowd = new Crowd(options);
    const { user, nodes } = options;
    let place = 0;
    for (const { name, deviceId, options: socketOptions } of PAGES) {
      crowd.#open(name, { deviceId, url: await crowd.#url(place++), socketOptions });
    }
    for (const { name, library, options: socketOptions } of PLAIN) {
      crowd.plain.set(name, plainClient(library, await crowd.#url(place++), user, socketOptions));
    }
    await crowd.#allThere(nodes[0] as Reachable);
    return crowd;
  }

  /** Begins to send, on all nodes, until `finish`. */
  go(): void {
    const isOver = (): boolean => this.#isOver;
    const proxies = this.#proxies.map((proxy) => misbehave(proxy, this.#random(), isOver));
    const senders = numbered("sender", SENDERS).map((name) => this.ledger.keepSending(name, this.#random(), isOver));
    this.#going = [...proxies, ...senders];
    // Whoever fails is told by `finish`.
    for (const one of this.#going) one.catch(() => {});
  }

  /** Ends the sending, and waits until everybody has the last message, on whichever node they are. */
  async finish(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#going);
    await this.ledger.sendOne(LAST, { keyed: true });
    try {
      for (const [name, seen] of this.pages) {
        await until(`${this.#name(name)} has handled the last one`, () => seen.some(isLast), PATIENCE_MS);
      }
      for (const [name, { received }] of this.plain) {
        await until(`the plain client ${this.#name(name)} has the last one`, () => received().at(-1) === LAST, PATIENCE_MS);
      }
      await this.#allThere(this.#options.nodes[0] as Reachable);
    } catch (error) {
      console.log(await this.#situation());
      throw error;
    }
    const { accepted, sent, refused } = this.ledger;
    const counts = [...this.plain].map(([name, { connections }]) => `${name} ${connections.length}`).join(", ");
    const refusals = [...refused].map(([code, count]) => `, ${count} times ${code}`).join("");
    console.log(`${this.#options.user}: ${accepted.size} of ${sent.size} accepted${refusals}; plain connections: ${counts}`);
  }

  /** Every broken promise of those that hold where nothing is lost. */
  broken(): readonly unknown[] {
    const { sent, accepted } = this.ledger;
    const told = [...this.pages].flatMap(([name, seen]) => seen.filter(isTold).map((one) => ({ [name]: one })));
    const pages = new Map([...this.pages].map(([name, seen]) => [name, seen.filter((one): one is Handled => !isTold(one))]));
    return [...this.#trouble, ...told, ...brokenPromises({ sent, accepted, pages, plain: this.connections() })];
  }

  /** What came to each plain client, one list per connection. */
  connections(): ReadonlyMap<string, readonly (readonly unknown[])[]> {
    return new Map([...this.plain].map(([name, client]) => [name, client.connections]));
  }

  /** What the pages reported that was neither a message nor a miss. */
  get trouble(): readonly unknown[] {
    return this.#trouble;
  }

  #open(name: string, { url, ...options }: { url: string; deviceId: string; socketOptions: object }): void {
    const { sdk, user } = this.#options;
    const socketOptions = { ...RECONNECT, ...options.socketOptions };
    const client = owned(sdk.connect(url, { userId: user, deviceId: options.deviceId, socketOptions }));
    const seen: (Handled | Told)[] = [];
    this.#clients.set(name, client);
    this.pages.set(name, seen);
    // Handlers that take their time: some have not settled when a node dies.
    client.on("message", async (data, { offset }) => {
      seen.push({ offset, data: String(data) });
      await delay(offset % 5);
    });
    client.lifecycle.on("missed", (missed: Told["missed"]) => seen.push({ missed }));
    for (const event of ["error", "unhandled"]) {
      client.lifecycle.on(event, (what: unknown) => this.#trouble.push({ [name]: { [event]: what } }));
    }
  }

  /** A way to the nodes, over a bad network for every other client where there are such. */
  async #url(place: number): Promise<string> {
    const route = owned(await Route.start(this.#options.nodes, place));
    if (this.#options.isRough !== true || place % 2 === 0) return route.url;
    const proxy = owned(await TcpProxy.start(route.port));
    this.#proxies.push(proxy);
    return proxy.url;
  }

  /** Every connection is registered once, and no ghost beside them. */
  #allThere(node: Reachable): Promise<boolean> {
    const { user } = this.#options;
    const count = PAGES.length + PLAIN.length;
    const isComplete = async (): Promise<boolean> => (await connectionCount(node, user).catch(() => -1)) === count;
    return until(`all connections of ${user} are there`, isComplete, PATIENCE_MS);
  }

  /** Where everybody is, for a test that failed. */
  async #situation(): Promise<string> {
    const { nodes, user } = this.#options;
    const pages = [...this.#clients].map(([name, client]) => `${name}: ${client.status}, ${JSON.stringify(client.position)}`);
    const plain = [...this.plain].map(([name, { socket, connections }]) => {
      const lasts = connections.slice(-3).map((received) => `${received.length} up to "${received.at(-1)}"`);
      return `${name}: ${socket.connected ? "connected" : "away"}, its last connections were given ${lasts.join(", ")}`;
    });
    const views = await Promise.all(nodes.map((node) => describeUser(node, user).catch(String)));
    return [...pages, ...plain, ...views.map((view) => JSON.stringify(view))].join("\n");
  }

  #name(who: string): string {
    return `${who} of ${this.#options.user}`;
  }

  /** Everybody has a stream of their own, so that what one does next does not hang on how fast the others are. */
  #random(): Random {
    return seeded(this.#options.seed + this.#streams++);
  }
}

const isTold = (one: Handled | Told): one is Told => "missed" in one;
const isLast = (one: Handled | Told): boolean => !isTold(one) && one.data === LAST;
