// Makes the two files for browsers: an ES module, and a script on top of the page's global `io` that sets `usercast`.
// Fails when one of them is larger than what the README promises beside socket.io-client.
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { rolldown } from "rolldown";

const MAX_GZIP_BYTES = 8_000;
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

const bundle = await rolldown({
  input: path("index.js"),
  external: ["socket.io-client"],
  platform: "browser",
  plugins: [withoutSentences],
});
const outputs = [
  { file: path("usercast.min.js"), format: "esm" },
  // The page's script tag of socket.io-client sets a global `io` that carries everything it exports.
  { file: path("usercast.global.js"), format: "iife", name: "usercast", globals: { "socket.io-client": "io" } },
];

let tooLarge = false;
for (const output of outputs) {
  const {
    output: [{ fileName, code }],
  } = await bundle.write({ ...output, minify: true, comments: false, sourcemap: false });
  const bytes = gzipSync(code, { level: 9 }).length;
  console.log(`client/dist/${fileName}: ${bytes} bytes with gzip, of ${MAX_GZIP_BYTES}`);
  tooLarge ||= bytes > MAX_GZIP_BYTES;
}
await bundle.close();
if (tooLarge) {
  console.error(`A bundle is larger than ${MAX_GZIP_BYTES} bytes with gzip.`);
  process.exitCode = 1;
}
