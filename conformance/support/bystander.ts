import { expect } from "vitest";
import { send } from "./http.ts";
import { NEWEST, type PlainClient, registeredClient } from "./plain.ts";
import type { TestServer } from "./server.ts";
import { until } from "./wait.ts";

/** What "promptly" means to someone who has nothing to do with the trouble, on a busy machine. */
const PROMPT_MS = 1_500;

/** A user who has nothing to do with what else goes on. */
export interface Bystander {
  /** Sends the bystander a message; it must be accepted, and arrive promptly and alone. Answers the milliseconds it took. */
  notices(): Promise<number>;
}

let bystanders = 0;

/** Connects a bystander, to be asked whether somebody else's bad input troubles them. */
export async function bystander(server: TestServer): Promise<Bystander> {
  const user = `bystander ${++bystanders}`;
  const client: PlainClient = await registeredClient(NEWEST, server, user, { transports: ["websocket"] });
  let messages = 0;
  return {
    async notices() {
      if (!server.alive) throw new Error(`The server has ended.\n${server.log}`);
      messages += 1;
      const began = performance.now();
      expect(await send(server, user, messages)).toMatchObject({ state: "pushed", offset: messages });
      await until("the bystander has it", () => client.received().length >= messages);
      const tookMs = performance.now() - began;
      expect(tookMs).toBeLessThan(PROMPT_MS);
      expect(client.connections).toEqual([Array.from({ length: messages }, (_, i) => i + 1)]);
      return tookMs;
    },
  };
}
