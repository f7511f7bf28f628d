import { isRecord } from "@usercast/protocol";
import type { Socket } from "socket.io-client";
import type { Token } from "./options.ts";

/** What the application itself wants in the handshake, in Socket.IO's two forms. */
export type ApplicationAuth = Socket["auth"] | undefined;

/** The part of a handshake that says who this is. */
export interface Credentials {
  /** The application's own fields, with the token. */
  readonly auth: Readonly<Record<string, unknown>>;
  /** Whose token it seems to be. Nothing is decided by it but which stored position to bring. */
  readonly hint: string | undefined;
}

/** Collects what goes into a handshake; rejects when a function of the application's does. */
export async function credentials(application: ApplicationAuth, token: Token | undefined): Promise<Credentials> {
  const own: unknown =
    typeof application === "function" ? await new Promise((resolve) => application(resolve)) : (application ?? {});
  const fetched = typeof token === "function" ? await token() : token;
  const auth = { ...(isRecord(own) && own), ...(fetched !== undefined && { token: fetched }) };
  return { auth, hint: subjectOf((auth as Record<string, unknown>)["token"]) };
}

/** The `sub` of a JWT, unverified, as a hint; absent for any other token. */
function subjectOf(token: unknown): string | undefined {
  if (typeof token !== "string") return undefined;
  try {
    const [, payload = ""] = token.split(".");
    // The bytes are not decoded as UTF-8, because the hint is only ever compared with other hints.
    const claims: unknown = JSON.parse(atob(payload.replaceAll("-", "+").replaceAll("_", "/")));
    return isRecord(claims) && typeof claims["sub"] === "string" ? claims["sub"] : undefined;
  } catch {
    return undefined;
  }
}
