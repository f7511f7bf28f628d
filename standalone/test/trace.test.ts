import { describe, expect, test } from "vitest";
import { type Answer, call, device, startDevelopment } from "./harness.ts";

const trace = (port: number, offset: string | number, id = "ana"): Promise<Answer> =>
  call(port, `/v1/users/${id}/messages/${offset}/trace`);

const send = (port: number, body: unknown): Promise<Answer> => call(port, "/v1/users/ana/messages", { body });

describe("GET /v1/users/{id}/messages/{offset}/trace", () => {
  test("follows a message from waiting to read, device by device", async () => {
    const { port } = await startDevelopment();
    const sent = await send(port, { event: "order:shipped", data: { id: 42 }, ttl: "1h" });
    const { epoch, at } = sent.json;
    expect((await trace(port, 1)).json).toEqual({
      userId: "ana",
      epoch,
      head: 1,
      offset: 1,
      state: "waiting",
      accepted: { at, expiresAt: at + 3_600_000, event: "order:shipped" },
      devices: [],
      summary: expect.any(String),
    });
    const phone = await device(port, "ana", "phone");
    await expect.poll(() => phone.received.length).toBe(1);
    const { status, json } = await trace(port, 1);
    expect([status, json.state]).toEqual([200, "pushed"]);
    const pushes = [{ socketId: phone.socket.id, at: expect.any(Number) }];
    expect(json.devices).toMatchObject([{ device: "phone", connected: true, pushes }]);
    phone.confirm(1);
    await expect.poll(async () => (await trace(port, 1)).json.state).toBe("delivered");
    phone.read(1);
    await expect.poll(async () => (await trace(port, 1)).json.state).toBe("read");
    expect((await trace(port, 1)).json.devices).toMatchObject([
      { device: "phone", deliveredAt: expect.any(Number), readAt: expect.any(Number) },
    ]);
  });

  test("says why a message is gone", async () => {
    const { port } = await startDevelopment({ maxMailboxMessages: "2" });
    for (const data of [1, 2, 3]) await send(port, { data });
    expect((await trace(port, 1)).json.state).toBe("trimmed");
    await send(port, { data: 4, ttl: 1 });
    await expect.poll(async () => (await trace(port, 4)).json.state).toBe("expired");
  });

  test("finds no message that is not there yet, and none of an earlier life", async () => {
    const { port } = await startDevelopment();
    for (const answer of [await trace(port, 1), await trace(port, Number.MAX_SAFE_INTEGER), await trace(port, 1, "nobody")]) {
      expect([answer.status, answer.json.error.code]).toEqual([404, "NOT_FOUND"]);
    }
    await send(port, { data: 1 });
    expect((await trace(port, 1)).status).toBe(200);
    await call(port, "/v1/users/ana", { method: "DELETE" });
    expect((await trace(port, 1)).status).toBe(404);
  });

  test.each(["0", "-1", "x", "", "1.5", "01", "1e3", "%20", "%zz", "9007199254740992", "1".repeat(1_000)])(
    "%j is no offset",
    async (offset) => {
      const { port } = await startDevelopment();
      const answer = await trace(port, offset);
      expect([answer.status, answer.json.error.code]).toEqual([400, "INVALID_POSITION"]);
    },
  );

  test("names nobody by an id that is none", async () => {
    const { port } = await startDevelopment();
    const answer = await trace(port, 1, "%");
    expect([answer.status, answer.json.error.code]).toEqual([400, "INVALID_USER_ID"]);
  });
});

describe("GET /v1/stats", () => {
  test("counts users, connections and what was told as missed, which the log has too", async () => {
    const { port, logged } = await startDevelopment({ maxMailboxMessages: "2" });
    expect((await call(port, "/v1/stats")).json).toEqual({
      users: 0,
      connections: 0,
      missed: { expired: 0, trimmed: 0, epoch: 0, rewound: 0 },
      writes: { direct: 0, engine: 0 },
    });
    const phone = await device(port, "ana", "phone");
    await send(port, { data: 0 });
    phone.confirm(1);
    await expect.poll(async () => (await trace(port, 1)).json.state).toBe("delivered");
    phone.socket.disconnect();
    for (const data of [1, 2, 3, 4]) await send(port, { data });
    const back = await device(port, "ana", "phone", "s2");
    await device(port, "ana", "laptop");
    await device(port, "bo", "phone");
    await expect.poll(() => back.received).toEqual([3, 4]);
    const { json } = await call(port, "/v1/stats");
    expect(json).toMatchObject({ users: 2, connections: 3 });
    expect(json.missed.trimmed).toBeGreaterThanOrEqual(1);
    expect(json.writes.direct).toBeGreaterThan(0);
    expect(logged.filter((line) => line.includes('"msg":"missed"') && line.includes('"trimmed"'))).not.toEqual([]);
  });
});
