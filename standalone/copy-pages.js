// Part of the build: puts the pages and the SDK's bundle where the server finds them, in dist/pages.
import { copyFileSync, existsSync, mkdirSync, readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const here = fileURLToPath(new URL(".", import.meta.url));
const target = join(here, "dist", "pages");
const bundle = join(here, "..", "client", "dist", "usercast.global.js");

if (!existsSync(bundle)) {
  console.error(`copy-pages: ${bundle} is missing; build it first with "node client/bundle.js".`);
  process.exit(1);
}

const sources = new Map(
  readdirSync(join(here, "pages"), { withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => [entry.name, join(here, "pages", entry.name)]),
);
sources.set("usercast.js", bundle);

mkdirSync(target, { recursive: true });
// A page that is no longer in the sources must not be served any more.
for (const name of readdirSync(target)) if (!sources.has(name)) rmSync(join(target, name), { recursive: true });
for (const [name, source] of sources) {
  const copy = statSync(join(target, name), { throwIfNoEntry: false });
  const original = statSync(source);
  if (copy === undefined || copy.mtimeMs < original.mtimeMs || copy.size !== original.size)
    copyFileSync(source, join(target, name));
}
