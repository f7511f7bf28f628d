// States in one run what several nodes on one Redis cost, beside the seed's map on @socket.io/redis-adapter, where each user is a room:
// `node bench/nodes.js [--repeats 3] [--users 1000] [--only cost,rate,commands,presence,resume]`
//
// Every case has processes of its own, and the cases take turns, so that a machine whose speed drifts is unfair to none. With 60 nodes
// at once that takes 6 GiB. CPU time is that of all nodes together, without the clients; that of Redis is told beside it. Medians are given.
import { parseArgs } from "node:util";
import { commands, cost, presence, rate, resume } from "./nodes-figures.js";
import { startRedis } from "./redis.js";
import { printTable } from "./table.js";

const FIGURES = { cost, rate, commands, presence, resume };

const { values } = parseArgs({
  options: {
    repeats: { type: "string", default: "3" },
    users: { type: "string", default: "1000" },
    only: { type: "string", default: Object.keys(FIGURES).join() },
  },
});
const [repeats, users] = [values.repeats, values.users].map(Number);
const chosen = values.only.split(",");

const redis = await startRedis();
console.log(`Node ${process.version}, ${users} users, ${repeats} rounds, medians`);
try {
  for (const name of chosen) {
    console.log("");
    await redis.clear();
    printTable(await FIGURES[name]({ redis, repeats, users }));
  }
} finally {
  await redis.stop();
}
