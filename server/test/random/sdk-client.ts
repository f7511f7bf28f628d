import { EVENTS, type MessageMeta, type Missed, type Position, type Ready } from "@usercast/protocol";
import type { Connection } from "../../src/connection.ts";
import { Client, type Run, WINDOW } from "./client.ts";

interface Place {
  readonly offset: number;
  readonly at: number | undefined;
  isSettled: boolean;
}

/** What one page saw of one life of the mailbox. */
export interface PageLife {
  readonly device: string;
  readonly epoch: string;
  /** The offset it began behind. */
  readonly start: number;
  readonly handled: { readonly offset: number; readonly number: number }[];
  readonly missed: Missed[];
  known: number;
  settled: number;
  position: Position;
  readonly places: Place[];
}

/** What all pages of a device have come to, by epoch. */
export interface DevicePast {
  /** The lowest offset that one of them was pushed. */
  readonly firstPushed: Map<string, number>;
  /** The highest offset that one of them began behind. */
  readonly begun: Map<string, number>;
}

/** A page with the SDK, as far as the server can tell. */
export class SdkClient extends Client {
  readonly userId: string;
  readonly device: string;
  /** Of this page and the ones before its reloads. */
  readonly lives: PageLife[] = [];
  readonly #past: DevicePast;
  /** What is in flight to it. */
  #inFlight = 0;
  /** What the device had been pushed when it dialed. */
  #pushedBefore: ReadonlyMap<string, number> = new Map();
  #session: string;
  #life: PageLife | undefined;
  #connection: Connection | undefined;
  #received = 0;

  constructor(run: Run, userId: string, device: string, past: DevicePast) {
    super(run);
    this.userId = userId;
    this.device = device;
    this.#past = past;
    this.#session = `s${run.step()}`;
  }

  /** What the page that is open now has seen. */
  get life(): PageLife | undefined {
    return this.#life;
  }

  connect(): void {
    this.dial();
    this.#received = this.#inFlight = 0;
    this.#pushedBefore = new Map(this.#past.firstPushed);
    const { userId, device } = this;
    const claim = this.#life?.position;
    this.#connection = this.become("/", { userId, device, session: this.#session, ...(claim && { claim }) });
    void this.run.delivery.join(this.#connection);
  }

  /** The page is loaded again and remembers its place, or another is opened, which does not. */
  reload(remembers: boolean): void {
    this.engine?.close();
    if (!remembers) this.#session = `s${this.run.step()}`;
    const position = remembers ? this.#life?.position : undefined;
    this.#life = undefined;
    if (position !== undefined) this.#begin(position);
  }

  /** A handler settles; without `which` all do. */
  settle(which?: number): void {
    const life = this.#life;
    if (life === undefined) return;
    for (const [i, place] of life.places.entries())
      if (which === undefined || i === which % life.places.length) place.isSettled = true;
    for (let first = life.places[0]; first?.isSettled; first = life.places[0]) {
      life.places.shift();
      life.settled = first.offset;
      if (first.at !== undefined) life.position = { epoch: life.epoch, offset: first.offset, at: first.at };
    }
  }

  /** Tells the server what has settled. */
  confirm(): void {
    if (this.#received > 0 && this.engine !== undefined)
      this.#connection?.ack(Math.min(this.#life?.settled ?? 0, this.#received));
  }

  protected wrote(_namespace: string, [event, first, meta]: readonly unknown[]): undefined {
    if (event === EVENTS.ready && this.#life === undefined) {
      const { position } = first as Ready;
      this.run.checkStart(this, position, this.#pushedBefore.get(position.epoch));
      this.#past.begun.set(position.epoch, Math.max(position.offset, this.#past.begun.get(position.epoch) ?? 0));
    }
    const epoch = this.#connection?.epoch ?? "";
    const { offset } = (meta ?? {}) as MessageMeta;
    if (event !== EVENTS.message) return;
    this.#past.firstPushed.set(epoch, Math.min(offset, this.#past.firstPushed.get(epoch) ?? offset));
    this.#inFlight += 1;
    if (this.#inFlight > WINDOW) this.run.fail(`${this.#inFlight} messages are in flight to one page`);
  }

  protected took([event, first, second, , number]: readonly unknown[]): void {
    if (event === EVENTS.ready) this.#ready(first as Ready);
    else if (event === EVENTS.message) this.#message(second as MessageMeta, Number(number));
    else if (event === EVENTS.missed) this.#missed(second as Missed);
  }

  protected ended(): void {
    this.#connection = undefined;
  }

  #begin(position: Position): void {
    const { epoch, offset } = position;
    const { device } = this;
    this.#life = { device, epoch, start: offset, known: offset, settled: offset, position, handled: [], missed: [], places: [] };
    this.lives.push(this.#life);
  }

  #ready({ position }: Ready): void {
    this.#received = position.offset;
    if (this.#life?.epoch !== position.epoch) this.#begin(position);
  }

  #message({ offset, at, after = offset - 1 }: MessageMeta, number: number): void {
    const life = this.#life;
    if (life === undefined) {
      this.run.fail("a message before ready");
      return;
    }
    this.#received = offset;
    this.#inFlight -= 1;
    if (offset <= life.known) return;
    if (after > life.known) this.run.fail(`a hole nobody told of between ${life.known} and ${offset}`);
    life.known = offset;
    life.handled.push({ offset, number });
    life.places.push({ offset, at, isSettled: false });
  }

  #missed(missed: Missed): void {
    const life = this.#life;
    if (missed.reason === "rewound") this.run.fail("no log was rewound");
    if (life === undefined || missed.reason === "epoch") return;
    this.#received = Math.max(this.#received, missed.before - 1);
    if (missed.before - 1 <= life.known) return;
    life.missed.push({ ...missed, after: life.known });
    life.known = missed.before - 1;
    life.places.push({ offset: life.known, at: undefined, isSettled: true });
  }
}
