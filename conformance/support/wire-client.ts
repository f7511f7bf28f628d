import { type MessageMeta, PROTOCOL_VERSION } from "@usercast/protocol";
import { owned } from "./owned.ts";
import { RawWebSocket } from "./raw-websocket.ts";
import type { TestServer } from "./server.ts";

const PATH = "/socket.io/?EIO=4&transport=websocket";

/** A connection of a user by hand; with a device it speaks as an SDK does. It confirms only what it is told to. */
export async function wireClient(server: TestServer, user: string, device?: string): Promise<RawWebSocket> {
  const raw = owned(await RawWebSocket.connect(server.port, PATH));
  raw.send(device === undefined ? "40" : `40${JSON.stringify({ usercast: { v: PROTOCOL_VERSION, device, session: "page" } })}`);
  await raw.next((text) => text.startsWith("40{"));
  raw.send(`421["register",${JSON.stringify(user)}]`);
  await raw.next((text) => text.startsWith("431[") && text.includes('"ok":true'));
  return raw;
}

/** What is confirmed at a time, well below the server's window. */
const CONFIRM_EVERY = 64;

/** Reads until `count` messages have come, confirming them as the client's kind does; answers what they carry, in that order. */
export async function readMessages(raw: RawWebSocket, count: number): Promise<readonly unknown[]> {
  const data: unknown[] = [];
  while (data.length < count) {
    const packet = await raw.next((text) => text === "2" || text.startsWith('42["message"') || isSdkMessage(text));
    if (packet === "2") {
      raw.send("3");
      continue;
    }
    const args = JSON.parse(packet.slice(2)) as unknown[];
    data.push(args.at(isSdkMessage(packet) ? 4 : 1));
    if (!isSdkMessage(packet)) continue;
    const { offset } = args[2] as MessageMeta;
    if (offset % CONFIRM_EVERY === 0) raw.send(`42["usercast:ack",${offset}]`);
  }
  return data;
}

const isSdkMessage = (text: string): boolean => text.startsWith('42["usercast:message"');
