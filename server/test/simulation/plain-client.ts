import type { Node } from "./node.ts";
import type { PlainStay } from "./record.ts";
import { Gauge, type SocketPacket, Visit, type Visitor } from "./visit.ts";
import type { Upward } from "./wire.ts";

interface Current {
  readonly stay: PlainStay;
  readonly gauge: Gauge;
}

/** A client without the SDK: namespaces, and the user it registers to in each. */
export class PlainClient implements Visitor {
  readonly name: string;
  readonly protocol: 3 | 4;
  visit: Visit | undefined;
  readonly #users: Map<string, string>;
  /** By visit and namespace: a server may still hold a connection that the client has given up. */
  readonly #current = new Map<Visit, Map<string, Current>>();

  constructor(name: string, users: Readonly<Record<string, string>>, protocol: 3 | 4 = 4) {
    this.name = name;
    this.protocol = protocol;
    this.#users = new Map(Object.entries(users));
  }

  connect(node: Node): void {
    if (this.visit !== undefined) return;
    this.visit = new Visit(node, this);
    for (const [namespace, userId] of this.#users) this.register(userId, namespace);
  }

  /** On the open connection; perhaps to another user than before. */
  register(userId: string, namespace = "/"): void {
    this.#users.set(namespace, userId);
    this.visit?.wire.send({ type: "event", namespace, event: "register", args: [userId], answer: undefined });
  }

  arrived(visit: Visit, { namespace, args }: Extract<Upward, { type: "event" }>): void {
    const { run, delivery } = visit.node;
    const user = String(args[0]);
    const sockets = this.#current.get(visit) ?? new Map<string, Current>();
    this.#current.set(visit, sockets);
    const before = sockets.get(namespace);
    if (before !== undefined) before.stay.endedAt = run.step();
    const connection = visit.become(namespace, { userId: user, device: "plain" });
    const never = Number.POSITIVE_INFINITY;
    const stay: PlainStay = {
      user,
      client: this.name,
      epoch: "",
      pushed: [],
      received: [],
      signals: [],
      startedAt: never,
      endedAt: never,
      madeAt: run.step(),
      time: run.clock.now(),
    };
    const gauge = new Gauge(`the plain client ${this.name}`);
    run.record.stays.push(stay);
    if (this.protocol === 4) run.record.highWater.push(gauge.high);
    sockets.set(namespace, { stay, gauge });
    void delivery.join(connection).then(() => {
      stay.epoch = connection.epoch;
      if (connection.state === "closed" || visit.node.isDead) return;
      stay.startedAt = run.step();
      stay.time = run.clock.now();
    });
  }

  wrote(visit: Visit, { namespace, args: [event, n] }: SocketPacket): Current | undefined {
    const current = this.#current.get(visit)?.get(namespace);
    if (event !== "message" || current === undefined) return current;
    const { run } = visit.node;
    const { stay, gauge } = current;
    stay.pushed.push({ n: Number(n), writtenAt: run.clock.now(), step: run.step() });
    gauge.wrote(Number(n), run.bytesOf(Number(n)), visit.wire.transport.socket.bufferedAmount);
    return current;
  }

  took(visit: Visit, { args: [event, n] }: SocketPacket, note: unknown): void {
    const current = note as Current | undefined;
    if (event === "signal") current?.stay.signals.push(Number(n));
    if (event !== "message" || current === undefined) return;
    current.stay.received.push({ n: Number(n), step: visit.node.run.step() });
    current.gauge.confirmed((key) => key === Number(n));
  }

  left(visit: Visit): void {
    if (this.visit === visit) this.visit = undefined;
  }

  ended(visit: Visit): void {
    for (const { stay } of this.#current.get(visit)?.values() ?? []) {
      stay.endedAt = Math.min(stay.endedAt, visit.node.run.step());
    }
    this.#current.delete(visit);
  }
}
