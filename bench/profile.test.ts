import { expect, it } from "vitest";
import { sharesOf } from "./profile.js";

const node = (id: number, functionName: string, url = "") => ({ id, callFrame: { functionName, url } });

it("time belongs to who spent it by itself, without idle time, the largest share first", () => {
  const nodes = [
    node(1, "(root)"),
    node(2, "(idle)"),
    node(3, "send", "file:///app/node_modules/ws/lib/sender.js"),
    node(4, "frame", "file:///app/bench/../server/dist/frame.js"),
    node(5, "load", "file:///app/bench/processes/server.js"),
    node(6, "writev"),
    node(7, "onwrite", "node:internal/stream_base_commons"),
    node(8, "(garbage collector)"),
    node(9, "encode", "file:///app/node_modules/@socket.io/redis-adapter/dist/index.js"),
  ];
  const samples = [1, 2, 3, 3, 4, 5, 6, 7, 8, 9];
  const timeDeltas = [500, 500, 30, 10, 20, 10, 10, 10, 5, 5];
  expect(Object.entries(sharesOf({ nodes, samples, timeDeltas }))).toEqual([
    ["ws", 0.4],
    ["usercast", 0.2],
    ["bench", 0.1],
    ["built in", 0.1],
    ["node", 0.1],
    ["garbage collection", 0.05],
    ["@socket.io/redis-adapter", 0.05],
  ]);
});
