// Messages from every node to users on all nodes, beside Socket.IO's adapters for Redis. What the nodes take is added up, and Redis with it.
import { openGroup } from "../groups.js";
import { startRedis } from "../redis.js";
import { alternate, casesOf, slice } from "../slices.js";

const NODES = [1, 2, 4];
/** Sends under way at once on each node. */
const UNDER_WAY = 250;

const ours = { kind: "usercast", broker: "redis" };

export const NODE_ROWS = {
  classic: { title: "io.to('user:' + id).emit, classic adapter", wire: "plain", server: { kind: "adapter", flavour: "classic" } },
  sharded: { title: "io.to('user:' + id).emit, sharded adapter", wire: "plain", server: { kind: "adapter", flavour: "sharded" } },
  volatile: { title: "users.to(id).volatile.emit", wire: "sdk", server: { ...ours, isVolatile: true } },
  durable: { title: "users.to(id).emit", wire: "sdk", server: ours, isDurable: true },
};

const ROWS = Object.fromEntries(
  NODES.flatMap((nodes) =>
    Object.entries(NODE_ROWS).map(([name, row]) => {
      const title = `${row.title}, ${nodes} ${nodes === 1 ? "node" : "nodes"}`;
      return [`${name}-${nodes}`, { ...row, name: `${name}-${nodes}`, title, nodes }];
    }),
  ),
);

export const FAMILIES = { nodes: { title: "One message to one of 1,000 users on several nodes", rows: Object.keys(ROWS) } };

/** Has every node send for so long. */
export const nodesSlice = (one, ms) => slice(one, () => one.server.ask({ do: "load", step: "one", ms, atOnce: UNDER_WAY }));

export async function run({ nodes: names }, settings) {
  const redis = await startRedis();
  const opened = [];
  try {
    for (const name of names) opened.push(await openGroup(redis, ROWS[name], ROWS[name]));
    settings.tell(FAMILIES.nodes.title);
    return casesOf("nodes", await alternate(opened, { ...settings, family: "nodes" }, nodesSlice));
  } finally {
    for (const { stop } of opened) await stop();
    await redis.stop();
  }
}
