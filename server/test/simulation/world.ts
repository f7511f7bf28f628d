import type { Draft } from "../../src/ports.ts";
import type { Core } from "./core.ts";
import type { Deed } from "./deeds.ts";
import type { Weather } from "./flaky-broker.ts";
import { Node, type Run } from "./node.ts";
import { Page, type TabStorage } from "./page.ts";
import { PlainClient } from "./plain-client.ts";
import { numbers, type Random } from "./random.ts";
import type { RealStore } from "./real-store.ts";
import type { Bounds, Filter, RunRecord } from "./record.ts";
import { Sender } from "./sender.ts";
import { Store } from "./store.ts";
import { VirtualClock } from "./virtual-clock.ts";

/** What a family of runs is like. */
export interface Settings {
  readonly bounds: Bounds;
  readonly nodes: number;
  /** Whether messages expire soon. */
  readonly expires: boolean;
  readonly hintsAreLost: boolean;
  /** Whether every device has been here before the script begins. */
  readonly begins: boolean;
}

const USERS = ["ana", "__proto__"] as const;
const [ANA, OTHER] = USERS;
const DEVICES = ["phone", "laptop"] as const;
const MAX_PAGES = 7;

/** How long until an end that is still open finds the other one gone. */
const NOTICE_MS = 3_000;
/** Virtual seconds within which everything must have come to rest once faults have stopped. */
const REST_SECONDS = 120;
const MAX_TURNS = 1_000;

/** Nodes over one store, clients on connections that break, and whatever a script does to them. */
export class World implements Run {
  readonly core: Core;
  readonly bounds: Bounds;
  readonly random: Random;
  readonly clock = new VirtualClock();
  readonly weather: Weather;
  readonly record: RunRecord;
  readonly store: Store;
  readonly #settings: Settings;
  readonly #nodes: Node[];
  readonly #pages: Page[];
  readonly #plain: PlainClient[];
  readonly #sender: Sender;
  readonly #contents = new Map<number, Pick<Draft, "text" | "bytes" | "ttlMs">>();
  #steps = 0;
  #numbers = 0;

  constructor(core: Core, settings: Settings, seed: number, real?: RealStore) {
    this.core = core;
    this.#settings = settings;
    this.bounds = settings.bounds;
    this.random = numbers(seed);
    this.weather = { isCalm: false, isFailing: false, hintsAreLost: settings.hintsAreLost };
    const hintsWereLost = settings.hintsAreLost || real !== undefined;
    this.record = { ...emptyRecord(settings), hintsWereLost };
    const { maxMailboxMessages, maxMailboxBytes } = settings.bounds;
    const { clock, record, step } = this;
    this.store = new Store({ core, clock, limits: { maxMailboxMessages, maxMailboxBytes }, record, step, real });
    this.#nodes = Array.from({ length: settings.nodes }, () => new Node(this));
    this.#sender = new Sender(this, () => this.#node());
    this.#pages = [
      new Page(this, { user: ANA, device: "phone" }, new Map()),
      new Page(this, { user: ANA, device: "phone" }, new Map()),
      new Page(this, { user: ANA, device: "laptop" }, new Map()),
      new Page(this, { user: OTHER, device: "phone" }, new Map()),
    ];
    this.#plain = [
      new PlainClient("one", { "/": ANA }),
      new PlainClient("two", { "/": ANA }),
      new PlainClient("both", { "/": ANA, "/chat": OTHER }),
      new PlainClient("old", { "/": OTHER }, 3),
    ];
  }

  readonly step = (): number => ++this.#steps;
  get isAlone(): boolean {
    return this.#settings.nodes === 1;
  }

  readonly wrong = (what: string): void => void this.record.wrongs.push(what);
  readonly bytesOf = (n: number): number => this.#contents.get(n)?.bytes ?? 0;

  readonly content = (n: number): Pick<Draft, "text" | "bytes" | "ttlMs"> => {
    const content = this.#contents.get(n);
    if (content === undefined) throw new Error(`nobody has written ${n}`);
    return content;
  };

  async begin(): Promise<void> {
    if (!this.#settings.begins) return;
    for (const user of USERS) this.#sender.publish(user, this.#write(0));
    await this.#rest(4);
  }

  async act({ deed, who, much, turns }: Deed): Promise<void> {
    const page = this.#pages[who % this.#pages.length];
    const plain = this.#plain[who % this.#plain.length];
    const isPlain = plain !== undefined && who % 2 === 1;
    const visit = isPlain ? plain.visit : page?.socket.visit;
    const user = who % 4 === 0 ? OTHER : ANA;
    switch (deed) {
      case "publish":
        this.#sender.publish(user, this.#write(much), undefined, much % 3 === 0);
        break;
      case "filter":
        this.#sender.publish(user, this.#write(much), filterOf(much), much % 2 === 0);
        break;
      case "resend":
        this.#sender.resend(much);
        break;
      case "send":
        page?.send(user, this.#write(much));
        break;
      case "signal":
        this.#signal(user, much);
        break;
      case "live":
        if (isPlain) this.#live(plain);
        else this.#live(page);
        break;
      case "take":
        visit?.wire.take(much);
        break;
      case "arrive":
        visit?.wire.arrive(1 + (much % 4));
        break;
      case "settle":
        page?.listen();
        page?.settle(much);
        break;
      case "connect":
        if (isPlain) plain.connect(this.#node());
        else page?.socket.dial(this.#node());
        break;
      case "cut":
        visit?.wire.cut(much % 4, this.random(3));
        break;
      case "forsake":
        this.#forsake(visit?.wire, much);
        break;
      case "register":
        if (plain?.visit !== undefined) plain.register(USERS[much % 2] ?? ANA);
        break;
      case "reload":
        this.#reload(who % this.#pages.length, much);
        break;
      case "ping":
        visit?.wire.ping();
        break;
      case "pass":
        this.clock.advance(much * much * 50);
        break;
      case "answer":
        for (let i = 0; i <= much; i += 1) for (const { broker } of this.#nodes) broker.answer();
        break;
      case "lie":
        page?.lie();
        break;
      case "purge":
        if (much < 6) await this.store.purge(user);
        break;
      case "fail":
        this.weather.isFailing = much < 3;
        break;
      case "retry":
        this.#sender.retry();
        break;
      case "crash":
        this.#crash(much % this.#nodes.length);
        break;
      case "restore":
        if (much < 4) await this.#restore(much + 1);
        break;
      case "interrupt":
        this.#interrupt();
        break;
    }
    for (let i = 0; i < turns; i += 1) await this.store.turn();
  }

  /** Faults stop, everybody who is away comes back, and everything that waits goes on, until nothing moves any more. */
  async heal(): Promise<void> {
    this.weather.isFailing = false;
    this.weather.isCalm = true;
    for (const { broker } of this.#nodes) broker.answerAll();
    await this.store.turn();
    // A broker that may have lost hints says so, sooner or later.
    if (this.weather.hintsAreLost) this.#interrupt();
    await this.#rest(REST_SECONDS);
    // What a plain connection lost goes to the next one, so each user gets one that comes after all others.
    for (const user of USERS) this.#plain.push(new PlainClient(`last of ${user}`, { "/": user }));
    await this.#rest(REST_SECONDS);
    this.weather.isCalm = true;
    this.record.rested = { step: this.step(), time: this.clock.now() };
    for (const { life, isOnline } of this.#pages) {
      life.isThere = isOnline;
      life.isKeptOut = !isOnline;
    }
    await this.#noteCursors();
    this.weather.isCalm = false;
  }

  /** Lets go of everything in the middle of things, and notes what is left. */
  async close(): Promise<void> {
    for (const user of USERS) this.#sender.publish(user, this.#write(0));
    await this.store.turn();
    this.weather.isCalm = true;
    for (const { broker } of this.#nodes) broker.answerAll();
    const goesFirst = this.random(3);
    if (goesFirst > 0) {
      for (const { wire } of this.#visits()) wire.cut(0, 0);
      await this.store.turn();
      this.clock.advance(10_000);
      for (const { presence } of this.#nodes)
        for (const [user, state] of presence) if (state !== "offline") this.wrong(`${user} is not offline`);
    }
    if (goesFirst === 2) for (const page of this.#pages) page.close();
    for (const { delivery, receipts } of this.#nodes) {
      await receipts.close();
      await delivery.close();
    }
    for (const { wire } of this.#visits()) wire.cut(0, 0);
    if (goesFirst !== 2) for (const page of this.#pages) page.close();
    for (let i = 0; i < 3; i += 1) await this.store.turn();
    this.clock.advance(2_000);
    await this.store.close();
    const sum = (counts: readonly number[]): number => counts.reduce((total, count) => total + count, 0);
    this.record.residue = {
      connections: sum(this.#nodes.map(({ delivery }) => [...delivery.hub.connections()].length)),
      groups: sum(this.#nodes.map(({ delivery }) => USERS.filter((user) => delivery.hub.get(user) !== undefined).length)),
      subscriptions: sum(this.#nodes.map(({ broker }) => broker.listeners.size)),
      serverTimers: sum(this.#nodes.map(({ clock }) => clock.timers)),
      storeTimers: this.store.timers,
      clientTimers: sum(this.#pages.map(({ clock }) => clock.timers)),
      clientListeners: sum(this.#pages.map(({ socket }) => socket.listeners)),
    };
  }

  #interrupt(): void {
    for (const { broker } of this.#nodes) for (const listener of broker.listeners) listener.interrupted();
  }

  *#visits(): Iterable<{ readonly wire: NonNullable<PlainClient["visit"]>["wire"] }> {
    for (const { visits } of this.#nodes) yield* [...visits];
  }

  #node(): Node {
    const node = this.#nodes[this.random(this.#nodes.length)];
    if (node === undefined) throw new Error("There is always a node.");
    return node;
  }

  /** The number of a new message. */
  #write(much: number): number {
    this.#numbers += 1;
    const n = this.#numbers;
    const ttlMs = this.#settings.expires && much > 4 ? much * 100 : 1e8;
    this.#contents.set(n, { text: `"message",${n}`, bytes: 10 + much * 10, ttlMs });
    return n;
  }

  #signal(user: string, much: number): void {
    this.#numbers += 1;
    const n = this.#numbers;
    const devices = much > 5 ? filterOf(much) : undefined;
    this.record.signals.push({ n, user, devices });
    this.#node().broker.signal(user, { text: `"signal",${n}`, bytes: 10, ...(devices && { devices }) });
  }

  /** A healthy client's moment. */
  #live(client: Page | PlainClient | undefined): void {
    const visit = client instanceof Page ? client.socket.visit : client?.visit;
    visit?.wire.take();
    if (client instanceof Page) {
      client.listen();
      client.settle();
    }
    visit?.wire.arrive();
  }

  /** One end takes the connection for broken; the other finds out later. */
  #forsake(wire: { endServer(): void; endClient(): void } | undefined, much: number): void {
    if (much % 2 === 0) wire?.endClient();
    else wire?.endServer();
    this.clock.after(NOTICE_MS, () => {
      wire?.endServer();
      wire?.endClient();
    });
  }

  #reload(index: number, much: number): void {
    const page = this.#pages[index];
    if (page === undefined) return;
    const { user, device, storage } = page;
    // A copy has what the tab's storage holds, which while it lives is not its session.
    if (much === 9) {
      if (this.#pages.length < MAX_PAGES) this.#pages.push(new Page(this, page, new Map(storage)));
      return;
    }
    if (much === 8) page.close();
    page.unload(much < 5);
    const kept: TabStorage = much < 6 || much === 8 ? storage : new Map();
    const isOther = much === 7 && user === ANA;
    this.#pages[index] = new Page(this, { user, device: isOther ? "tablet" : device }, kept);
  }

  #crash(index: number): void {
    this.#nodes[index]?.crash();
    this.#sender.crashed();
    this.#nodes[index] = new Node(this);
  }

  async #restore(share: number): Promise<void> {
    for (const index of this.#nodes.keys()) this.#crash(index);
    await this.store.turn();
    this.clock.advance(10_000); // it takes an operator at least this long
    await this.store.restore(share);
  }

  async #noteCursors(): Promise<void> {
    for (const user of USERS) {
      const { devices } = await this.store.broker.position(user);
      for (const [device, { delivered }] of devices) this.record.restingCursors.set(`${user} ${device}`, delivered);
    }
  }

  /** Lets time pass until everybody is there and has been quiet for some seconds, but not for more than `seconds`. */
  async #rest(seconds: number): Promise<void> {
    const wasCalm = this.weather.isCalm;
    this.weather.isCalm = true;
    for (let second = 0, quiet = 0; second < seconds && quiet < 4; second += 1) {
      await this.#settle();
      this.#sender.retry();
      this.clock.advance(1_000);
      const isRestless = this.#sender.isWaiting || this.#pages.some((page) => !page.isOnline);
      quiet = isRestless ? 0 : quiet + 1;
    }
    await this.#settle();
    this.weather.isCalm = wasCalm;
  }

  async #settle(): Promise<void> {
    let calls = 0;
    for (let quiet = 0, turns = 0; quiet < 3; turns += 1) {
      if (turns > MAX_TURNS) throw new Error("it never comes to rest");
      for (const { broker } of this.#nodes) broker.answerAll();
      for (const page of this.#pages) page.socket.dial(this.#node());
      for (const plain of this.#plain) plain.connect(this.#node());
      await this.store.turn();
      const isBusy = [...this.#visits()].some(({ wire }) => wire.isBusy);
      const before = calls;
      calls = this.#nodes.reduce((sum, { broker }) => sum + broker.calls, 0);
      quiet = isBusy || calls !== before ? 0 : quiet + 1;
      for (const client of [...this.#pages, ...this.#plain]) this.#live(client);
    }
  }
}

const filterOf = (much: number): Filter => {
  const device = [...DEVICES, "plain"][much % 3] ?? "phone";
  return much % 2 === 0 ? { only: device } : { except: device };
};

const emptyRecord = ({ bounds, nodes }: Settings): RunRecord => ({
  bounds,
  hintsWereLost: false,
  isOneNode: nodes === 1,
  accepted: [],
  answered: [],
  signals: [],
  pages: [],
  connections: [],
  stays: [],
  cursors: [],
  highWater: [],
  sends: [],
  followed: [],
  failures: [],
  crashes: [],
  wrongs: [],
  rested: undefined,
  restingCursors: new Map(),
  residue: {},
});
