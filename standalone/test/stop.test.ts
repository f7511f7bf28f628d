import { join } from "node:path";
import { expect, test } from "vitest";
import { call, client, next, registered, startDevelopment, temporaryFolder } from "./harness.ts";

test("a stop lets clients go so that they come back, and what was accepted is there again", async () => {
  const data = join(temporaryFolder(), "data");
  const first = await startDevelopment({ data });
  const sockets = [await registered(first.port, "ana"), await registered(first.port, "bo", { transports: ["polling"] })];
  const [gone, polling] = sockets.map((socket) => new Promise((resolve) => socket.once("disconnect", (...why) => resolve(why))));
  await call(first.port, "/v1/users/cy/messages", { body: { data: "kept" } });
  await first.stop();
  // Code 1005: the server closed the WebSocket, it did not just drop it.
  expect(await gone).toEqual(["transport close", expect.objectContaining({ context: expect.objectContaining({ code: 1005 }) })]);
  await polling;
  expect(sockets.map((socket) => socket.active)).toEqual([true, true]);
  await expect(call(first.port, "/healthz")).rejects.toMatchObject({ code: "ECONNREFUSED" });

  const second = await startDevelopment({ data });
  const socket = client(second.port);
  const arrival = next(socket, "message");
  socket.on("connect", () => socket.emit("register", "cy"));
  expect(await arrival).toBe("kept");
});

test("a second stop is the first", async () => {
  const server = await startDevelopment();
  await Promise.all([server.stop(), server.stop()]);
});

test("a data folder serves one server at a time", async () => {
  const data = join(temporaryFolder(), "data");
  await startDevelopment({ data });
  await expect(startDevelopment({ data })).rejects.toMatchObject({ code: "STORE_LOCKED" });
});

test("a port serves one server at a time, and a failed start leaves the folder free", async () => {
  const { port } = await startDevelopment();
  const data = join(temporaryFolder(), "data");
  await expect(startDevelopment({ data, port: String(port) })).rejects.toThrow(`port ${port} is already in use`);
  await startDevelopment({ data });
});
