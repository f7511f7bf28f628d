import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Context, Hono } from "hono";
import { type Env, methods } from "./http.ts";
import { StartError } from "./listen.ts";

/** Where the build puts the pages and the SDK's bundle. */
export const PAGES_DIR = fileURLToPath(new URL("../dist/pages/", import.meta.url));

/** The SDK for pages without a bundler, on top of the global `io` of `/socket.io/socket.io.js`. */
const SDK_SCRIPT = "usercast.js";

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".svg": "image/svg+xml",
  ".png": "image/png",
  ".ico": "image/x-icon",
  ".webmanifest": "application/manifest+json",
};

/** The address the pages are written with; they are served with that of this server in its place. */
const WRITTEN_ADDRESS = "http://localhost:3000";

interface Page {
  readonly body: Uint8Array<ArrayBuffer>;
  readonly headers: Readonly<Record<string, string>>;
}

/**
 * Serves the SDK's bundle and, where `all` is said, every other page of the folder. `portOf` is asked when a page is first
 * requested, because the port is not known before the server listens.
 * @throws StartError when the pages were not built
 */
export function servePages(app: Hono<Env>, dir: string, all: boolean, portOf: () => number): void {
  for (const name of filesOf(dir)) {
    if (TYPES[extname(name)] === undefined || (!all && name !== SDK_SCRIPT)) continue;
    let page: Page | undefined;
    const path = name === "index.html" ? "/" : `/${name}`;
    methods(app, path, {
      GET: (context) => {
        page ??= pageOf(readFileSync(join(dir, name)), extname(name), portOf());
        return answer(context, page);
      },
    });
  }
}

function filesOf(dir: string): readonly string[] {
  try {
    return readdirSync(dir);
  } catch {
    throw new StartError(`the pages are not built: ${dir} is missing; run "npm run build"`);
  }
}

function answer(context: Context<Env>, page: Page): Response {
  const known = context.req.header("if-none-match")?.split(",") ?? [];
  const isKnown = known.some((etag) => etag.trim().replace(/^W\//, "") === page.headers["etag"]);
  return isKnown ? context.body(null, 304, page.headers) : context.body(page.body, 200, page.headers);
}

function pageOf(file: Buffer, extension: string, port: number): Page {
  const isHtml = extension === ".html";
  const text = isHtml ? file.toString("utf8").replaceAll(WRITTEN_ADDRESS, `http://localhost:${port}`) : "";
  const body = new Uint8Array(isHtml ? Buffer.from(text) : file);
  return {
    body,
    headers: {
      "content-type": TYPES[extension] ?? "application/octet-stream",
      etag: `"${createHash("sha256").update(body).digest("base64url").slice(0, 22)}"`,
      // Kept by browsers, asked about every time: a page and its script never come from two versions.
      "cache-control": "no-cache",
      "x-content-type-options": "nosniff",
      "cross-origin-resource-policy": "cross-origin",
      ...(isHtml && { "content-security-policy": contentSecurityPolicy(text, port), "referrer-policy": "no-referrer" }),
    },
  };
}

/** Scripts of this server and the page's own inline ones, connections to this server by any of its names, nothing else. */
function contentSecurityPolicy(html: string, port: number): string {
  const inline = [...html.matchAll(/<script(?![^>]*\ssrc=)[^>]*>([\s\S]*?)<\/script>/g)].map(
    ([, script = ""]) => `'sha256-${createHash("sha256").update(script).digest("base64")}'`,
  );
  const hosts = ["localhost", "127.0.0.1"].flatMap((host) => [`http://${host}:${port}`, `ws://${host}:${port}`]);
  return [
    "default-src 'self'",
    `script-src ${["'self'", ...inline].join(" ")}`,
    "style-src 'self' 'unsafe-inline'",
    "img-src 'self' data:",
    `connect-src ${["'self'", ...hosts].join(" ")}`,
    "base-uri 'none'",
    "form-action 'self'",
    "frame-ancestors 'none'",
  ].join("; ");
}
