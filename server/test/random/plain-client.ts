import type { Connection } from "../../src/connection.ts";
import { Client, type Run } from "./client.ts";

/** One plain socket's time as one user's, by the numbers of messages. */
export interface Stay {
  readonly userId: string;
  readonly connection: Connection;
  readonly pushed: number[];
  readonly received: number[];
  /** In steps of the run: when its start was known, at the latest, and when it was over. */
  startedAt: number;
  endedAt: number;
}

/** A client without the SDK: namespaces, and the user it registers to in each. */
export class PlainClient extends Client {
  readonly #users: Map<string, string>;
  readonly #stays: Stay[];
  readonly #current = new Map<string, Stay>();

  /** `stays` gathers those of all plain clients. */
  constructor(run: Run, users: Readonly<Record<string, string>>, stays: Stay[], protocol = 4) {
    super(run, protocol);
    this.#users = new Map(Object.entries(users));
    this.#stays = stays;
  }

  connect(): void {
    this.dial();
    for (const [namespace, userId] of this.#users) this.register(userId, namespace);
  }

  /** On the open connection; perhaps to another user than before. */
  register(userId: string, namespace = "/"): void {
    this.#leave(namespace);
    this.#users.set(namespace, userId);
    const connection = this.become(namespace, { userId, device: "plain" });
    const never = Number.POSITIVE_INFINITY;
    const stay: Stay = { userId, connection, pushed: [], received: [], startedAt: never, endedAt: never };
    this.#current.set(namespace, stay);
    this.#stays.push(stay);
    void this.run.delivery.join(connection).then(() => {
      if (connection.state !== "closed") stay.startedAt = this.run.step();
    });
  }

  protected wrote(namespace: string, [event, number]: readonly unknown[]): Stay | undefined {
    const stay = this.#current.get(namespace);
    if (event === "message") stay?.pushed.push(Number(number));
    return stay;
  }

  protected took([event, number]: readonly unknown[], stay: Stay | undefined): void {
    if (event === "message") stay?.received.push(Number(number));
  }

  protected ended(): void {
    for (const namespace of this.#users.keys()) this.#leave(namespace);
  }

  #leave(namespace: string): void {
    const stay = this.#current.get(namespace);
    if (stay !== undefined) stay.endedAt = this.run.step();
    this.#current.delete(namespace);
  }
}
