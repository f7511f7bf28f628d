import { describe, expect, test } from "vitest";
import { type Answer, call, device, startDevelopment } from "./harness.ts";

const send = (port: number, body: unknown): Promise<Answer> => call(port, "/v1/users/ana/messages", { body });

describe("sending to devices", () => {
  test("one alone, or all but one", async () => {
    const { port } = await startDevelopment();
    const [phone, laptop] = [await device(port, "ana", "phone"), await device(port, "ana", "laptop")];
    const only = await send(port, { data: "phone", device: "phone" });
    const others = await send(port, { data: "others", exceptDevice: "phone" });
    const all = await send(port, { data: "all" });
    expect([only.status, others.status, all.status]).toEqual([201, 201, 201]);
    await expect.poll(() => phone.received).toEqual(["phone", "all"]);
    await expect.poll(() => laptop.received).toEqual(["others", "all"]);
    expect((await call(port, "/v1/users/ana/messages")).json.messages).toMatchObject([
      { data: "phone", devices: { only: "phone" } },
      { data: "others", devices: { except: "phone" } },
      { data: "all" },
    ]);
  });

  test("signals as well, and from a batch", async () => {
    const { port } = await startDevelopment();
    const [phone, laptop] = [await device(port, "ana", "phone"), await device(port, "ana", "laptop")];
    const heard: string[] = [];
    for (const [name, { socket }] of Object.entries({ phone, laptop })) {
      socket.on("usercast:signal", (_secret: string, _meta: unknown, _event: string, data: string) =>
        heard.push(`${name} ${data}`),
      );
    }
    const signal = { event: "typing", volatile: true };
    const { json } = await call(port, "/v1/messages", {
      body: {
        messages: [
          { to: "ana", data: "a", device: "phone", ...signal },
          { to: "ana", data: "b", exceptDevice: "phone", ...signal },
          { to: "ana", data: "c", device: "laptop" },
        ],
      },
    });
    expect(json.results.map(({ state }: { state: string }) => state)).toEqual(["signalled", "signalled", "pushed"]);
    await expect.poll(() => heard).toEqual(["phone a", "laptop b"]);
    await expect.poll(() => laptop.received).toEqual(["c"]);
    expect(phone.received).toEqual([]);
  });

  test.each([
    ["a device that is none", { data: 1, device: "a b" }, "INVALID_DEVICE"],
    ["a device that is no text", { data: 1, device: 7 }, "INVALID_DEVICE"],
    ["a device of a megabyte", { data: 1, exceptDevice: "x".repeat(100_000) }, "INVALID_DEVICE"],
    ["two wishes", { data: 1, device: "a", exceptDevice: "b" }, "INVALID_TARGET"],
    ["a volatile send to a device that is none", { data: 1, device: "", volatile: true }, "INVALID_DEVICE"],
  ])("refuses %s", async (_, body, code) => {
    const { port } = await startDevelopment();
    const answer = await send(port, body);
    expect([answer.status, answer.json.error.code]).toEqual([400, code]);
  });
});
