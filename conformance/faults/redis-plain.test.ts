import { expect, test } from "vitest";
import { connectionCount, describeUser, sendAll } from "../support/http.ts";
import { startNode } from "../support/node.ts";
import { expectInOrderAtLeastOnce, numbered } from "../support/order.ts";
import { owned, shared } from "../support/owned.ts";
import { LIBRARIES, NEWEST, type PlainClient, plainClient } from "../support/plain.ts";
import { RedisServer } from "../support/redis.ts";
import { Route } from "../support/route.ts";
import type { TestServer } from "../support/server.ts";
import { TcpProxy } from "../support/tcp-proxy.ts";
import { until } from "../support/wait.ts";

// Untouched clients of one user at several nodes. They share a cursor, and none's confirmation robs another that comes back elsewhere.

const store = shared(() => RedisServer.start());

const WEBSOCKET = { transports: ["websocket"] } as const;

let users = 0;

/** A user of their own, with one plain client at the first node, behind a network that can fail, and one at the second. */
async function together(): Promise<{
  readonly user: string;
  readonly one: TestServer;
  readonly two: TestServer;
  readonly network: TcpProxy;
  readonly hangs: PlainClient;
  readonly well: PlainClient;
}> {
  const user = `plain${++users}`;
  const [one, two] = [owned(await startNode(store().url)), owned(await startNode(store().url))];
  const network = owned(await TcpProxy.start(one.port));
  const hangs = plainClient(NEWEST, network.url, user, WEBSOCKET);
  const well = plainClient(NEWEST, two.url, user, WEBSOCKET);
  await until("both are there", async () => (await connectionCount(two, user)) === 2);
  return { user, one, two, network, hangs, well };
}

/** The last of them has come. */
const hasAll = (client: PlainClient, mailbox: readonly unknown[]): Promise<unknown> =>
  until("it has the last one", () => client.received().at(-1) === mailbox.at(-1));

/** All plain connections to a node have confirmed so much, and the store was told. */
async function isToldAt(node: TestServer, user: string, count: number): Promise<void> {
  await until("it was confirmed", async () => {
    return (await describeUser(node, user)).connections.some(({ confirmed }) => confirmed === count);
  });
  await until("the store was told", async () => {
    for (const key of await store().client.keys("*:d")) {
      const row = await store().client.hget(key, "plain");
      if (row?.includes(`"at":${count}`) || row?.includes(`"delivered":${count}`)) return true;
    }
    return false;
  });
}

/** Ways in which a client leaves its node for the other one. */
const WAYS: Readonly<Record<string, (one: TestServer) => unknown>> = {
  "while its node sees it go": () => {},
  "while its node hangs": (one) => process.kill(one.pid, "SIGSTOP"),
  "when its node is killed": (one) => one.kill(),
};

test.each(Object.entries(WAYS))(
  "a plain client that hung and goes to another node is given what one there has confirmed, %s",
  async (_, leave) => {
    const { user, one, two, network, hangs, well } = await together();
    const mailbox = [...(await sendAll(two, user, numbered("received by both", 5), { concurrency: 2 }))];
    await hasAll(hangs, mailbox);
    await hasAll(well, mailbox);
    network.stall();
    mailbox.push(...(await sendAll(two, user, numbered("received by one", 300), { concurrency: 4 })));
    await hasAll(well, mailbox);
    await isToldAt(two, user, mailbox.length);
    expect(hangs.received()).toHaveLength(5);
    await leave(one);
    network.refuse();
    // The other one goes on, and could take what is not its own.
    mailbox.push(...(await sendAll(two, user, numbered("received by one while the other is away", 5), { concurrency: 2 })));
    await hasAll(well, mailbox);
    await isToldAt(two, user, mailbox.length);
    network.turnTo(two.port);
    network.admit();
    mailbox.push(...(await sendAll(two, user, numbered("after", 5), { concurrency: 2 })));
    for (const client of [hangs, well]) {
      await hasAll(client, mailbox);
      expectInOrderAtLeastOnce(client.connections, mailbox);
    }
    expect(hangs.connections).toHaveLength(2);
    // What was not confirmed is not repeated to who stayed.
    expect(well.connections).toHaveLength(1);
  },
  60_000,
);

test("what plain clients of a node that is killed are owed outlives all nodes, for each of them", async () => {
  const user = `plain${++users}`;
  const [one, two] = [owned(await startNode(store().url)), owned(await startNode(store().url))];
  const networks = [owned(await TcpProxy.start(one.port)), owned(await TcpProxy.start(one.port))];
  const hang = networks.map(({ url }, i) => plainClient(LIBRARIES[i + 1] ?? NEWEST, url, user, WEBSOCKET));
  const route = owned(await Route.start([two], 0));
  const well = plainClient(NEWEST, route.url, user, WEBSOCKET);
  await until("all are there", async () => (await connectionCount(two, user)) === 3);
  const mailbox = [...(await sendAll(two, user, numbered("received by all", 5), { concurrency: 2 }))];
  for (const client of [...hang, well]) await hasAll(client, mailbox);
  for (const network of networks) network.stall();
  mailbox.push(...(await sendAll(two, user, numbered("received by one", 100), { concurrency: 4 })));
  await hasAll(well, mailbox);
  await isToldAt(two, user, mailbox.length);
  await Promise.all([one.kill(), two.kill()]);
  for (const network of networks) network.turnTo(two.port);
  await two.restart();
  // The one that lacks nothing is back first, and confirms.
  await until("it is back", async () => (await connectionCount(two, user).catch(() => 0)) >= 1);
  await isToldAt(two, user, mailbox.length);
  networks[0]?.cut();
  mailbox.push(...(await sendAll(two, user, numbered("after", 5), { concurrency: 2 })));
  await hasAll(hang[0] as PlainClient, mailbox);
  await isToldAt(two, user, mailbox.length);
  networks[1]?.cut();
  mailbox.push(...(await sendAll(two, user, numbered("at last", 5), { concurrency: 2 })));
  for (const client of [...hang, well]) {
    await hasAll(client, mailbox);
    expectInOrderAtLeastOnce(client.connections, mailbox);
  }
}, 60_000);
