import type { ServerConfig } from "./config.ts";
import { describeStore } from "./store.ts";

/** What a person at the terminal needs to know about the server that just started; its first line holds the address. */
export function banner(config: ServerConfig, port: number, version: string): string {
  const lines = config.mode === "development" ? developmentLines(port) : productionLines(config.userToUser);
  const host = config.mode === "development" ? "localhost" : (config.host ?? "0.0.0.0");
  const address = `http://${host.includes(":") ? `[${host}]` : host}:${port}`;
  const workers = config.mode === "production" && config.workers > 1 ? `, ${config.workers} workers` : "";
  const first = `Usercast ${version} listens on ${address} (${config.mode}${workers})`;
  return [first, ...lines, `Mailboxes are in ${describeStore(config.store)}.`, ""].join("\n");
}

const developmentLines = (port: number): readonly string[] => [
  "",
  `  http://localhost:${port}/            a page to try it with`,
  `  http://localhost:${port}/plain.html  the same without our SDK`,
  "",
  `  curl -X POST localhost:${port}/v1/users/user123/messages -H 'content-type: application/json' -d '{"data":"hi"}'`,
  "",
  "Development mode believes every client that says who it is, so it answers to this machine only.",
  'For the world there is "usercast serve".',
];

const productionLines = (userToUser: boolean): readonly string[] => [
  `Users prove who they are with tokens, callers of the HTTP API with keys; users ${userToUser ? "may" : "may not"} send to users.`,
];
