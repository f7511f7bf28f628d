import { isRecord, parseUserId, UsercastError } from "@usercast/protocol";
import type { Socket } from "socket.io";

/** Who a connection belongs to. */
export interface Identity {
  readonly userId: string;
  /** When the identity ends, in milliseconds since 1970, and every connection made with it; absent when it does not. */
  readonly expiresAt?: number;
}

/** What an `authenticate` function may return; `null` and `undefined` mean "not a user". */
export type Authenticated = string | number | Identity | null | undefined;

/**
 * Tells who a token belongs to.
 * @throws UsercastError `TOKEN_MISSING`, `TOKEN_INVALID`, `TOKEN_EXPIRED`, or `UNAVAILABLE` when that cannot be known now
 */
export type VerifyToken = (token: string) => Promise<Identity>;

/**
 * Tells who a socket belongs to. It runs once per connection, after all middleware, so it may read `socket.data` or a
 * session. `null` leaves the socket alone as an ordinary one; a throw or a rejection refuses it.
 */
export interface Authenticate {
  (socket: Socket): Authenticated | Promise<Authenticated>;
  /** For tokens that come after the handshake. A function without it takes identities from handshakes only. */
  readonly verifyToken?: VerifyToken;
}

/** The part of a handshake that can carry a token. */
export interface Credentials {
  /** Socket.IO's `auth`, as the client wrote it. */
  readonly auth?: unknown;
  readonly headers: { readonly authorization?: string | undefined };
}

// Tokens have no spaces, and a scheme of another name (Basic, say) belongs to the application.
const BEARER = /^Bearer +(\S+) *$/i;

/**
 * The token of a handshake: `auth.token`, else the `Authorization: Bearer` header, else `null`. The query string is never
 * read, because proxies and servers write it into their logs.
 * @throws UsercastError `TOKEN_INVALID` when `auth.token` is there and no text
 */
export function handshakeToken({ auth, headers }: Credentials): string | null {
  const { token } = isRecord(auth) ? auth : {};
  if (typeof token === "string" && token !== "") return token;
  if (token !== undefined && token !== null && token !== "") throw new UsercastError("TOKEN_INVALID");
  return BEARER.exec(headers.authorization ?? "")?.[1] ?? null;
}

/**
 * What an `authenticate` function returned, checked and in one form.
 * @throws UsercastError `INVALID_USER_ID`, or `AUTHENTICATION_FAILED` when `expiresAt` is no time
 */
export function parseIdentity(value: unknown): Identity | null {
  if (value === null || value === undefined) return null;
  if (!isRecord(value)) return { userId: parseUserId(value) };
  const userId = parseUserId(value["userId"]);
  const expiresAt = value["expiresAt"];
  if (expiresAt === undefined) return { userId };
  // Not a number would compare as "not yet expired" for ever.
  if (typeof expiresAt !== "number" || !Number.isFinite(expiresAt)) {
    throw new UsercastError("AUTHENTICATION_FAILED", "expiresAt must be a time in milliseconds since 1970.");
  }
  return { userId, expiresAt };
}

/**
 * Asks an `authenticate` function about a socket.
 * @throws UsercastError the function's own, as it is; `AUTHENTICATION_FAILED` for anything else it threw, with that as the
 *   cause; `INVALID_USER_ID` when it named no valid user
 */
export async function identify(authenticate: Authenticate, socket: Socket): Promise<Identity | null> {
  try {
    return parseIdentity(await authenticate(socket));
  } catch (error) {
    throw UsercastError.from(error, "AUTHENTICATION_FAILED");
  }
}
