import { cp, rm } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { redis } from "../../src/broker/redis.ts";
import { start, type Wire, wire } from "../harness.ts";
import { startServer, type TestServer, waitFor } from "./server.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server.stop());

const positionOf = ({ messages, ready }: Wire) => {
  const last = messages.at(-1);
  return last && { epoch: ready.position.epoch, offset: last.meta.offset, at: last.meta.at };
};
const dataOf = ({ messages }: Wire) => messages.map(({ data }) => data);

describe("a store that is lost under live connections", () => {
  it("is found without a message, and who was there is told what is gone", async () => {
    const broker = await redis({ url: server.url, prefix: "flushed:", positionCheckMs: 300 });
    const { url, users } = await start({ broker });
    const ana = await wire(url, "ana", {}, { reconnection: false });
    for (const n of [1, 2, 3]) await users.to("ana").emit("m", n);
    await waitFor(() => ana.messages.length === 3, "ana has them");
    await server.client.flushall();
    await waitFor(() => ana.closing.length === 1, "ana is sent away");
    expect(ana.closing).toMatchObject([{ code: "EPOCH_CHANGED", reconnect: true }]);
    await users.to("ana").emit("m", 4);
    const again = await wire(url, "ana", { position: positionOf(ana) });
    await waitFor(() => again.messages.length === 1, "ana has what came since");
    expect(again.missed).toMatchObject([{ after: 3, reason: "epoch" }]);
    expect(dataOf(again)).toEqual([4]);
  });

  it("in its newest part is found, however it has grown since, and nothing comes under a known offset", async () => {
    const broker = await redis({ url: server.url, prefix: "rewound:", positionCheckMs: 300, warn: () => {} });
    const { url, users } = await start({ broker });
    const [ana, bo] = [await wire(url, "ana", {}, { reconnection: false }), await wire(url, "bo", {}, { reconnection: false })];
    for (const n of [1, 2, 3]) await users.to(["ana", "bo"]).emit("m", n);
    const [log, copy] = [join(server.folder, "appendonlydir"), join(server.folder, "copy")];
    await cp(log, copy, { recursive: true });
    for (const n of [4, 5]) await users.to("ana").emit("m", n);
    await waitFor(() => ana.messages.length === 5 && bo.messages.length === 3, "both have theirs");
    await server.kill();
    await rm(log, { recursive: true });
    await cp(copy, log, { recursive: true });
    await server.restart();
    await waitFor(() => ana.closing.length === 1, "ana is sent away");
    expect(ana.closing).toMatchObject([{ code: "EPOCH_CHANGED", reconnect: true }]);
    for (const n of [6, 7, 8])
      await waitFor(
        async () =>
          (await users
            .to("ana")
            .emit("m", n)
            .catch(() => undefined)) !== undefined,
        "it is accepted",
      );
    const again = await wire(url, "ana", { position: positionOf(ana) });
    await waitFor(() => dataOf(again).includes(8), "ana has the newest");
    expect(again.missed).toMatchObject([{ after: 5, reason: "rewound" }]);
    // Who had nothing of what was lost stays.
    await users.to("bo").emit("m", 9);
    await waitFor(() => bo.messages.length === 4, "bo has the next");
    expect(bo.closing).toEqual([]);
  });
});

describe("a server that is away for a while", () => {
  it("costs no connection, and what comes after reaches everybody", async () => {
    const broker = await redis({ url: server.url, prefix: "away:", warn: () => {} });
    const { url, users } = await start({ broker });
    const ana = await wire(url, "ana", {}, { reconnection: false });
    await users.to("ana").emit("m", 1);
    await server.kill();
    await expect(users.to("ana").emit("m", 2)).rejects.toMatchObject({ code: "UNAVAILABLE" });
    await server.restart();
    await waitFor(
      async () =>
        (await users
          .to("ana")
          .emit("m", 3)
          .catch(() => undefined)) !== undefined,
      "it is accepted",
    );
    await waitFor(() => dataOf(ana).includes(3), "ana has it");
    expect(dataOf(ana)).toEqual([1, 3]);
    expect([ana.closing, ana.missed]).toEqual([[], []]);
  });
});
