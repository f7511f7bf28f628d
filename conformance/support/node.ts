import { fileURLToPath } from "node:url";
import { steadyPort, TestServer } from "./server.ts";

const SCRIPT = fileURLToPath(new URL("../../bench/node.js", import.meta.url));
const SKEW = new URL("skew.js", import.meta.url).href;

/** Short, so that tests can wait until a node is given up; and nobody is gone for good before that. */
export const LEASE_MS = 3_000;

/** More than is ever sent here, so that nothing is trimmed. */
const BROKER = { maxMailboxMessages: 1_000_000, maxMailboxBytes: 1_000_000_000, commandTimeoutMs: 1_500, positionCheckMs: 2_000 };
const USERCAST = { leaseMs: LEASE_MS, presenceGraceMs: 0 };

/**
 * A process with a Socket.IO server and Usercast on Redis: one of several, that can be killed and started again. Its clock is
 * `skewMs` ahead.
 */
export async function startNode(redisUrl: string, { broker = {}, usercast = {}, skewMs = 0 } = {}): Promise<TestServer> {
  const options = [
    ["--redis-url", redisUrl],
    ["--broker", JSON.stringify({ ...BROKER, ...broker })],
    ["--usercast", JSON.stringify({ ...USERCAST, ...usercast })],
  ];
  const env = skewMs === 0 ? {} : { NODE_OPTIONS: `--import ${SKEW}`, CLOCK_SKEW_MS: String(skewMs) };
  return TestServer.start({ script: SCRIPT, port: await steadyPort(), args: options.flat(), env });
}
