// Where the time of a server goes, as far as V8's sampling tells it.

/**
 * @typedef {object} Profile what the inspector's `Profiler.stop` tells
 * @property {readonly { readonly id: number, readonly callFrame: { readonly functionName: string, readonly url: string } }[]} nodes
 * @property {readonly number[]} [samples]
 * @property {readonly number[]} [timeDeltas]
 */

/**
 * Whose a function is: a package's, Node's, the bench's own, or that of what is compiled into Node. Nobody's while nothing is done.
 * @param {{ readonly functionName: string, readonly url: string }} callFrame
 */
function ownerOf({ functionName, url }) {
  if (functionName === "(idle)" || functionName === "(root)") return undefined;
  if (functionName === "(garbage collector)") return "garbage collection";
  if (functionName === "(program)") return "outside of functions";
  if (url === "") return "built in";
  if (url.startsWith("node:")) return "node";
  const [, name] = /^.*\/node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url) ?? [];
  if (name !== undefined) return name;
  return url.includes("/bench/") && !url.includes("/dist/") ? "bench" : "usercast";
}

/**
 * The share of the time at work that each owner had by itself, the largest first.
 * @param {Profile} profile
 * @returns {Readonly<Record<string, number>>}
 */
export function sharesOf({ nodes, samples = [], timeDeltas = [] }) {
  const owners = new Map(nodes.map(({ id, callFrame }) => [id, ownerOf(callFrame)]));
  /** @type {Map<string, number>} */
  const times = new Map();
  for (const [i, id] of samples.entries()) {
    const owner = owners.get(id);
    if (owner !== undefined) times.set(owner, (times.get(owner) ?? 0) + (timeDeltas[i] ?? 0));
  }
  const all = [...times.values()].reduce((total, time) => total + time, 0);
  return Object.fromEntries([...times].sort(([, a], [, b]) => b - a).map(([owner, time]) => [owner, time / all]));
}
