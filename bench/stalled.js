// What readers that stall cost the server: many connections, plain ones and such that speak as the SDK, stop reading, and each
// is sent far more than its window. Then some read again, and must get everything.
// `node bench/stalled.js [--readers 1000] [--messages 10000] [--sample 20] [--broker memory]`
//
// The messages themselves are kept by the broker, so the same is sent to users who are not connected: the difference is
// what the readers weigh. Heap and buffers after a collection; the kernel's own buffers of the sockets are not among them.
import { parseArgs } from "node:util";
import { start } from "./children.js";
import { userNames } from "./slices.js";
import { printTable } from "./table.js";

const { values } = parseArgs({
  options: {
    readers: { type: "string", default: "1000" },
    messages: { type: "string", default: "10000" },
    sample: { type: "string", default: "20" },
    broker: { type: "string", default: "memory" },
  },
});
const readers = Number(values.readers);
const messages = Number(values.messages);
const sample = Math.min(Number(values.sample), readers);
const names = userNames(readers);
/** More than is sent, so that nothing is trimmed; and heartbeats that nobody who stalls has to answer. */
const settings = {
  kind: "usercast",
  broker: values.broker,
  limits: { maxMailboxMessages: 1_000_000, maxMailboxBytes: 2 ** 40, maxTotalBytes: 2 ** 45 },
  io: { pingInterval: 3_600_000, pingTimeout: 3_600_000 },
  options: { maxPendingSends: 100_000 },
};

const began = performance.now();
const newServer = async () => {
  const node = ["--expose-gc", "--max-old-space-size=12288"];
  const server = await start("processes/server.js", { args: [JSON.stringify(settings)], side: "server", node });
  await server.ask({ do: "users", names });
  return server;
};

const absent = await newServer();
const emptyBytes = (await absent.ask({ do: "memory" })).heapBytes;
await absent.ask({ do: "fill", messages });
const keptBytes = (await absent.ask({ do: "memory" })).heapBytes - emptyBytes;
await absent.stop();

const server = await newServer();
const clients = await start("processes/crowd.js");
const before = (await server.ask({ do: "memory" })).heapBytes;
for (const [i, wire] of ["sdk", "plain"].entries()) {
  const some = names.filter((_, j) => j % 2 === i);
  await clients.ask({ do: "connect", port: server.ready.port, wire, names: some, isOrdered: true });
}
const idleBytes = (await server.ask({ do: "memory" })).heapBytes - before;
await clients.ask({ do: "stall" });
const filled = performance.now();
const { mostAnonBytes } = await server.ask({ do: "fill", messages });
const seconds = (performance.now() - filled) / 1_000;
const stalledBytes = (await server.ask({ do: "memory" })).heapBytes - before - keptBytes;
const { most } = await server.ask({ do: "outstanding" });
const readBegan = performance.now();
const { read, incomplete } = await clients.ask({ do: "resume", sample, messages });
const readSeconds = (performance.now() - readBegan) / 1_000;
await clients.stop();
await server.stop();

const perReader = (bytes) => `${(bytes / readers / 1_024).toFixed(1)} KiB`;
console.log(`Node ${process.version}, ${readers} stalled readers, ${messages} messages of 100 bytes to each, ${values.broker}\n`);
printTable([
  ["a reader that is idle", perReader(idleBytes)],
  ["a reader that stalls, in all", perReader(stalledBytes)],
  ["what the broker keeps for one user", perReader(keptBytes)],
  ["sent and not confirmed, at most", `${most} messages`],
  ["memory of the process, at most", `${(mostAnonBytes / 2 ** 20).toFixed(0)} MiB`],
  ["messages accepted a second", ((readers * messages) / seconds).toFixed(0)],
  [`${read} read again, all of it, within`, `${readSeconds.toFixed(1)} s`],
  ["of those, who did not get everything in order", String(incomplete)],
  ["all of this took", `${((performance.now() - began) / 1_000).toFixed(0)} s`],
]);
process.exitCode = incomplete === 0 && read === sample ? 0 : 1;
