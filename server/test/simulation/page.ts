import { Client } from "@usercast/client/src/client.ts";
import { resolveOptions } from "@usercast/client/src/options.ts";
import { PositionStore } from "@usercast/client/src/position-store.ts";
import { Session } from "@usercast/client/src/session.ts";
import { EVENTS, type HandshakeAuth, type Hello, type MessageMeta, type Position, type SendRequest } from "@usercast/protocol";
import type { Connection } from "../../src/connection.ts";
import { FakeSocket } from "./fake-socket.ts";
import type { Node, Run } from "./node.ts";
import type { PageEvent, PageLife, SdkConnection, UserSend } from "./record.ts";
import { MortalClock } from "./virtual-clock.ts";
import { Gauge, type SocketPacket, type Visit } from "./visit.ts";
import type { Upward } from "./wire.ts";

/** What a tab keeps through reloads: the page's `sessionStorage`. */
export type TabStorage = Map<string, string>;

const SESSION_KEY = "usercast:session:tab";
const POSITION_KEY = "usercast:position:tab";

/** Far more than any run lasts: when handlers settle is for the run to say. */
const HANDLER_TIMEOUT_MS = 86_400_000;

/** Handlers may fail, and a server may take its time. */
const EXPECTED_ERRORS: ReadonlySet<string> = new Set(["HANDLER_FAILED", "NOT_REGISTERED"]);

/** What a page that lies confirms. */
const BEYOND = Number.MAX_SAFE_INTEGER - 1;

/** Some handlers settle at once, some fail, and some are set late. */
const settlesAtOnce = (n: number): boolean => n % 4 === 0;
const fails = (n: number): boolean => n % 7 === 0;
const comesLate = (step: number): boolean => step % 5 === 0;

interface Running {
  readonly event: Extract<PageEvent, { type: "settled" }>;
  readonly settle: () => void;
}

interface Served {
  readonly connection: Connection;
  readonly record: SdkConnection;
  readonly gauge: Gauge;
}

/** A page with the real SDK in it, over a socket of the run's. */
export class Page {
  readonly user: string;
  readonly device: string;
  readonly storage: TabStorage;
  readonly life: PageLife;
  readonly socket: FakeSocket;
  readonly client: Client;
  readonly clock: MortalClock;
  readonly #run: Run;
  readonly #running: Running[] = [];
  /** When the server wrote what came, by offset and time of acceptance. */
  readonly #writtenAt = new Map<string, number>();
  readonly #served = new Map<Visit, Served>();
  #nowWrittenAt = 0;
  #isListening = false;
  #isGone = false;

  constructor(run: Run, who: { user: string; device: string }, storage: TabStorage) {
    this.#run = run;
    this.user = who.user;
    this.device = who.device;
    this.storage = storage;
    this.clock = new MortalClock(run.clock);
    const bornAt = run.step();
    if (!storage.has(SESSION_KEY)) storage.set(SESSION_KEY, `session-${bornAt}`);
    const kept = {
      getItem: (key: string) => storage.get(key) ?? null,
      setItem: (key: string, value: string) => void (this.#isGone || storage.set(key, value)),
      removeItem: (key: string) => void (this.#isGone || storage.delete(key)),
    };
    const positions = new PositionStore(kept, POSITION_KEY);
    this.life = { ...who, remembered: positions.position, bornAt, events: [], isThere: false, isKeptOut: false };
    run.record.pages.push(this.life);
    this.socket = new FakeSocket(
      {
        name: `a page of ${who.user}'s ${who.device}`,
        wrote: (visit, packet) => this.#wrote(visit, packet),
        arrived: (visit, event) => this.#arrived(visit, event),
        ended: (visit) => this.#served.delete(visit),
        taking: (packet, writtenAt) => this.#taking(packet, writtenAt),
      },
      (ms, task) => this.clock.after(ms, task),
    );
    this.client = new Client({
      socket: this.socket as unknown as ConstructorParameters<typeof Client>[0]["socket"],
      options: resolveOptions({ ackIntervalMs: 50, handlerTimeoutMs: HANDLER_TIMEOUT_MS, handlerWaitMs: 2_000 }),
      applicationAuth: undefined,
      device: { id: who.device, transient: false },
      session: new Session(kept, SESSION_KEY),
      positions,
      clock: this.clock,
      onClose: () => {},
    });
    this.#watch();
    if (!comesLate(bornAt)) this.listen();
  }

  get isOnline(): boolean {
    return this.client.status === "online";
  }

  /** Sets the handler, if it is not set yet. */
  listen(): void {
    if (this.#isListening || this.#isGone) return;
    this.#isListening = true;
    this.client.on("message", (data, info) => {
      if (!info.volatile) return this.#handle(Number(data), info);
      this.#run.wrong("a message came as a signal");
      return undefined;
    });
    this.client.on("signal", (n) => this.#note({ type: "signal", n: Number(n), step: this.#run.step() }));
  }

  /** A handler settles; without `which` all do. */
  settle(which?: number): void {
    const chosen = which === undefined ? this.#running.splice(0) : this.#running.splice(which % (this.#running.length || 1), 1);
    for (const { event, settle } of chosen) {
      this.#note({ ...event, step: this.#run.step() });
      settle();
    }
  }

  /** Sends another user a message. */
  send(to: string, n: number): void {
    const send: UserSend = { n, page: this.life, state: "waiting" };
    this.#run.record.sends.push(send);
    const end = (state: "accepted" | "failed") => (): void => {
      send.state = state;
    };
    this.client.to(to).emit("message", n).then(end("accepted"), end("failed"));
  }

  /** Confirms what it cannot have been sent; a server believes nobody. */
  lie(): void {
    this.socket.emit(EVENTS.ack, BEYOND);
  }

  /** The page goes without a word, or after its last event, which says that it may come back. */
  unload(isTold: boolean): void {
    if (isTold) this.client.pageHidden();
    this.#isGone = true;
    this.clock.kill();
    this.socket.kill();
  }

  /** The application closes the client. */
  close(): void {
    this.client.close();
    this.client.pageHidden();
  }

  #watch(): void {
    const { lifecycle } = this.client;
    const { step } = this.#run;
    lifecycle.on("ready", ({ position: { epoch, offset } }) => this.#note({ type: "ready", epoch, offset, step: step() }));
    lifecycle.on("missed", ({ after, before, reason }) =>
      this.#note({ type: "missed", after, before, reason, writtenAt: this.#nowWrittenAt, step: step() }),
    );
    lifecycle.on("unhandled", ({ data, info }) => {
      this.#started(Number(data), info);
      this.#note({ type: "settled", epoch: info.epoch, offset: info.offset, at: info.at, step: step() });
    });
    lifecycle.on("error", (error) => {
      if (!EXPECTED_ERRORS.has(error.code)) this.#run.wrong(`a page was told ${error.code}: ${error.message}`);
    });
  }

  #note(event: PageEvent): void {
    if (!this.#isGone) this.life.events.push(event);
  }

  #handle(n: number, info: Position): Promise<void> | undefined {
    this.#started(n, info);
    const event = { type: "settled", epoch: info.epoch, offset: info.offset, at: info.at, step: this.#run.step() } as const;
    if (!settlesAtOnce(n)) return new Promise((resolve) => this.#running.push({ event, settle: resolve }));
    this.#note(event);
    if (fails(n)) throw new Error("as handlers may");
    return undefined;
  }

  #started(n: number, { epoch, offset, at }: Position): void {
    const writtenAt = this.#writtenAt.get(`${offset} ${at}`) ?? Number.NaN;
    this.#note({ type: "started", n, epoch, offset, at, writtenAt, step: this.#run.step() });
  }

  #taking({ args: [event, , meta] }: SocketPacket, writtenAt: number): void {
    this.#nowWrittenAt = writtenAt;
    if (event !== EVENTS.message) return;
    const { offset, at } = meta as MessageMeta;
    this.#writtenAt.set(`${offset} ${at}`, writtenAt);
  }

  // What follows is the server's side of this page's connections, as the registration of a socket has it.

  #wrote(visit: Visit, { type, args: [event, first, meta, , n] }: SocketPacket): undefined {
    const served = this.#served.get(visit);
    if (type !== "event" || served === undefined) return;
    if (event === EVENTS.ready) {
      const { epoch, offset } = (first as { position: Position }).position;
      served.record.start = { epoch, offset, step: this.#run.step(), time: this.#run.clock.now() };
    }
    if (event !== EVENTS.message) return;
    const { offset } = meta as MessageMeta;
    served.gauge.wrote(offset, this.#run.bytesOf(Number(n)), visit.wire.transport.socket.bufferedAmount);
  }

  #arrived(visit: Visit, { event, args, answer }: Extract<Upward, { type: "event" }>): void {
    const reply = (value: unknown): void => {
      if (answer !== undefined) visit.wire.write(`3${answer}${JSON.stringify([value])}`);
    };
    if (event === "connect") this.#admit(visit, (args[0] as HandshakeAuth).usercast);
    else if (event === EVENTS.ack) reply({ ok: this.#ack(visit, Number(args[0])) });
    else if (event === EVENTS.send) void this.#publish(visit.node, args[0] as SendRequest).then(reply);
  }

  #admit(visit: Visit, hello: Hello | undefined): void {
    if (hello === undefined) return;
    const { device, session, position } = hello;
    const { record } = this.#run;
    const gauge = new Gauge(`a page of ${this.user}'s ${device}`);
    const connection: SdkConnection = {
      ...{ user: this.user, device, page: this.life, claim: position, madeAt: this.#run.step() },
      ...{ start: undefined, acks: [] },
    };
    record.connections.push(connection);
    record.highWater.push(gauge.high);
    visit.wire.write('0[""]');
    const claim = position === undefined ? {} : { claim: position };
    const made = visit.become("/", { userId: this.user, device, session, ...claim });
    this.#served.set(visit, { connection: made, record: connection, gauge });
    void visit.node.delivery.join(made);
  }

  #ack(visit: Visit, offset: number): boolean {
    const served = this.#served.get(visit);
    if (served === undefined) return false;
    try {
      // Noted first: the cursor is on its way when this returns.
      const { gauge, record } = served;
      if (offset !== BEYOND) record.acks.push({ offset, step: this.#run.step() });
      served.connection.ack(offset);
      gauge.confirmed((pushed) => pushed <= offset);
      return true;
    } catch {
      return false;
    }
  }

  async #publish({ broker }: Node, { to, data, key = "" }: SendRequest): Promise<object> {
    const n = Number(data);
    const draft = {
      id: `send-${this.#run.step()}`,
      userId: to,
      from: this.user,
      ...this.#run.content(n),
      key: { key, digest: String(n) },
    };
    const failed = { ok: false, error: { code: "UNAVAILABLE", message: "" } };
    const [result] = await broker.publish([draft]).catch(() => []);
    return result === undefined || result.state === "failed" ? failed : { ok: true, state: "accepted" };
  }
}
