// Several nodes on one Redis, and the clients of their users, who are connected to all of them in turn.
import { start } from "./children.js";
import { startServer, userNames } from "./slices.js";
import { sum } from "./stats.js";

let groups = 0;

/** What the answers of all nodes come to. */
const together = (answers) => ({
  cpuSeconds: sum(answers.map(({ cpuSeconds = 0 }) => cpuSeconds)),
  systemSeconds: sum(answers.map(({ systemSeconds = 0 }) => systemSeconds)),
  sent: sum(answers.map(({ sent = 0 }) => sent)),
  began: Math.min(...answers.map(({ began = Number.POSITIVE_INFINITY }) => began)),
});

/**
 * Starts so many nodes of a row. Several groups may share a Redis.
 * @param ports says which nodes clients connect to
 */
export async function openGroup(redis, row, { nodes, users = 1_000, ports: connectTo = (ports) => ports }) {
  groups += 1;
  const settings = { ...row.server, url: redis.url, prefix: `group-${groups}:` };
  const servers = await Promise.all(Array.from({ length: nodes }, () => startServer(settings)));
  const receivers = await start("processes/crowd.js");
  const names = userNames(users);
  const ports = connectTo(servers.map(({ ready }) => ready.port));
  if (users > 0) await receivers.ask({ do: "connect", ports, wire: row.wire, names });
  // Each begins with another user.
  await Promise.all(servers.map((server, i) => server.ask({ do: "users", names, from: i * 131 })));
  return {
    row,
    servers,
    server: { ask: async (question) => together(await Promise.all(servers.map((one) => one.ask(question)))) },
    receivers,
    redis,
    perUser: 1,
    stop: () => Promise.all([...servers, receivers].map((child) => child.stop())),
  };
}
