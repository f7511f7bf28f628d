// Part of the build: puts the scripts that run in Redis where the broker finds them, beside its compiled code.
import { copyFileSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const here = fileURLToPath(new URL(".", import.meta.url));
const source = join(here, "src", "broker", "redis", "lua");
const target = join(here, "dist", "broker", "redis", "lua");

const names = readdirSync(source).filter((name) => name.endsWith(".lua"));
mkdirSync(target, { recursive: true });
// A script that is no longer in the sources must not be packed any more.
for (const name of readdirSync(target)) if (!names.includes(name)) rmSync(join(target, name));
for (const name of names) copyFileSync(join(source, name), join(target, name));
