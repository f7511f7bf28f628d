// Makes the two files for browsers: an ES module, and a script on top of the page's global `io` that sets `usercast`.
// How large they may become is said in the root's package.json, and checked by `npm run check`.
import { fileURLToPath } from "node:url";
import { EVENTS, LIMITS } from "@usercast/protocol";
import { rolldown } from "rolldown";

const path = (name) => fileURLToPath(new URL(`dist/${name}`, import.meta.url));

/** Leaves the sentences out of the table of errors, a twentieth of the size: the code stands in for them. */
const withoutSentences = {
  name: "without-sentences",
  renderChunk(code) {
    const short = code.replace(/^(\s*[A-Z_]+: (?:final|retry)\(\d+), .*\)(,?)$/gm, "$1)$2");
    if (short === code) throw new Error("The table of errors is written in another way than expected.");
    return short;
  },
};

/** Writes the fields of our tables of constants where they are used, so that the tables themselves and what is not used are left out. */
const constantsInPlace = {
  name: "constants-in-place",
  renderChunk: (code) =>
    Object.entries({ EVENTS, LIMITS }).reduce(
      (written, [name, table]) =>
        written.replace(new RegExp(`\\b${name}\\.(\\w+)`, "g"), (_, field) => JSON.stringify(table[field])),
      code,
    ),
};

const bundle = await rolldown({
  input: path("index.js"),
  external: ["socket.io-client"],
  platform: "browser",
  plugins: [withoutSentences, constantsInPlace],
});
const outputs = [
  { file: path("usercast.min.js"), format: "esm" },
  // The page's script tag of socket.io-client sets a global `io` that carries everything it exports.
  { file: path("usercast.global.js"), format: "iife", name: "usercast", globals: { "socket.io-client": "io" } },
];

for (const output of outputs) await bundle.write({ ...output, minify: true, comments: false, sourcemap: false });
await bundle.close();
